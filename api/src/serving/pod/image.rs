//! References to container images: `[registry[:port]/]path[:tag][@sha256:digest]`.

/// Whether `text` is one; the error says what is wrong. Source: the rules of go-containerregistry, which Knative uses.
pub(super) fn check_image(text: &str) -> Result<(), &'static str> {
    let (named, digest) = match text.split_once('@') {
        Some((named, digest)) => (named, Some(digest)),
        None => (text, None),
    };
    let is_digest = |digest: &str| {
        let hex = digest.strip_prefix("sha256:").unwrap_or_default();
        hex.len() == 64 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    if digest.is_some_and(|digest| !is_digest(digest)) {
        return Err("expected an image reference: after '@' comes sha256: and 64 hexadecimal digits");
    }
    // A ':' before the last '/' is a registry's port.
    let (repository, tag) = match named.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
        _ => (named, None),
    };
    let is_tag = |tag: &str| {
        (1..=128).contains(&tag.len())
            && tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
    };
    if tag.is_some_and(|tag| !is_tag(tag)) {
        return Err("expected an image reference: a tag is 1 to 128 letters, digits, '_', '-' and '.'");
    }
    check_repository(repository)
}

fn check_repository(repository: &str) -> Result<(), &'static str> {
    let (registry, path) = match repository.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (Some(first), rest),
        _ => (None, repository),
    };
    let is_host = |host: &str| url::Url::parse(&format!("http://{host}/")).is_ok_and(|url| url.path() == "/");
    if registry.is_some_and(|host| !is_host(host) || host.ends_with(':') || host.contains(['@', '?', '#'])) {
        return Err("expected an image reference: it begins with a registry, or with the path of a repository");
    }
    let inner =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-' | b'.' | b'/');
    // One that is official has no user, and one letter is then enough.
    let shortest = if registry.is_none() { 1 } else { 2 };
    let has_empty_part = path.split('/').any(str::is_empty);
    if !(shortest..=255).contains(&path.len()) || !path.bytes().all(inner) || has_empty_part {
        return Err("expected an image reference: a repository is lower case letters, digits, '_', '-', '.' and '/'");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check_image;

    #[test]
    fn image_references() {
        let digest = "a".repeat(64);
        for image in [
            "nginx",
            "nginx:1.27",
            "ghcr.io/knative/helloworld-go:latest",
            "localhost:5000/app",
            "localhost/app",
            "registry.example.com:443/a/b_c-d.e:V1_2-3.4",
            &format!("gcr.io/a/b@sha256:{digest}"),
            &format!("gcr.io/a/b:tag@sha256:{digest}"),
        ] {
            assert_eq!(check_image(image), Ok(()), "{image}");
        }
        for (image, expected) in [
            ("Nginx", "a repository is"),
            ("my image", "a repository is"),
            ("nginx:", "a tag is"),
            ("nginx:a+b", "a tag is"),
            ("nginx@sha256:abc", "after '@'"),
            ("nginx@md5:abc", "after '@'"),
            ("https://ghcr.io/a", "it begins with a registry"),
            ("ghcr.io/", "a repository is"),
            (":tag", "a repository is"),
        ] {
            assert!(check_image(image).is_err_and(|told| told.contains(expected)), "{image}: {:?}", check_image(image));
        }
    }
}
