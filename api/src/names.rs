//! Names of objects: what one may look like, and how a child's is made from its parent's.

use md5::{Digest as _, Md5};

/// Longest name of a Service, and of most children: one DNS label.
const LONGEST: usize = 63;
/// What is left of it beside an MD5 sum in hexadecimal.
const BESIDE_HASH: usize = LONGEST - 32;

/// The name of a child: `parent` and `suffix`, or, where that is longer than 63 bytes, as much of `parent` as fits
/// beside a hash of it, so that it stays one DNS label and unique.
///
/// Source: `kmeta.ChildName` of Knative, whose names are observable (a Deployment, a private Service).
pub fn child_name(parent: &str, suffix: &str) -> String {
    if parent.len() + suffix.len() <= LONGEST {
        return format!("{parent}{suffix}");
    }
    if suffix.len() < BESIDE_HASH {
        let kept = head(parent, BESIDE_HASH - suffix.len());
        return format!("{kept}{}{suffix}", md5_hex(parent));
    }
    let mut name = format!("{}{}", head(parent, BESIDE_HASH), md5_hex(&format!("{parent}{suffix}")));
    name.push_str(head(suffix, LONGEST.saturating_sub(name.len())));
    name.truncate(name.trim_end_matches(|c: char| !c.is_ascii_alphanumeric()).len());
    name
}

/// The first bytes of `text`: at most `length`, and whole characters.
fn head(text: &str, length: usize) -> &str {
    &text[..text.floor_char_boundary(length)]
}

fn md5_hex(text: &str) -> String {
    Md5::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What [`is_dns1035_label`] asks for, for error messages.
pub const DNS1035_LABEL: &str =
    "expected at most 63 lower case letters, digits and '-', beginning with a letter, not ending with '-'";
/// What [`is_dns1123_label`] asks for, for error messages.
pub const DNS1123_LABEL: &str =
    "expected at most 63 lower case letters, digits and '-', beginning and ending with a letter or digit";
/// What [`is_qualified_name`] asks for, for error messages.
pub const QUALIFIED_NAME: &str =
    "expected at most 63 letters, digits, -, _ or ., with a letter or digit at both ends, perhaps after a prefix and /";
/// What [`is_label_value`] asks for, for error messages.
pub const LABEL_VALUE: &str =
    "expected at most 63 letters, digits, -, _ or . with a letter or digit at both ends, or nothing";
/// What [`is_dns1123_subdomain`] asks for, for error messages.
pub const DNS1123_SUBDOMAIN: &str = "expected a DNS name: labels of lower case letters, digits and '-', joined by '.'";

/// Whether `name` is a label that begins with a letter, as names of Services have to be.
pub fn is_dns1035_label(name: &str) -> bool {
    is_dns1123_label(name) && name.starts_with(|c: char| c.is_ascii_lowercase())
}

/// Whether names that begin with `prefix` can be such labels. A '-' at the end is fine: more follows.
pub fn is_dns1035_prefix(prefix: &str) -> bool {
    prefix.len() <= LONGEST && is_dns1035_label(prefix.trim_end_matches('-'))
}

/// Whether `name` is one label of a DNS name.
pub fn is_dns1123_label(name: &str) -> bool {
    name.len() <= LONGEST && is_dns_part(name)
}

/// As [`is_dns1123_label`], of any length: Kubernetes limits only the whole of a prefix.
fn is_dns_part(name: &str) -> bool {
    let end = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    has_ends(name, end) && name.bytes().all(|byte| end(byte) || byte == b'-')
}

/// Whether `name` is a DNS name in lower case, as most names of objects have to be.
pub fn is_dns1123_subdomain(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(is_dns1123_label)
}

/// Whether `name` is a qualified name of Kubernetes, as keys of labels are: `app`, `example.com/app`.
pub fn is_qualified_name(name: &str) -> bool {
    match name.split_once('/') {
        None => is_bounded(name),
        Some((prefix, name)) => prefix.len() <= 253 && prefix.split('.').all(is_dns_part) && is_bounded(name),
    }
}

/// Whether `value` can be that of a label.
pub fn is_label_value(value: &str) -> bool {
    value.is_empty() || is_bounded(value)
}

fn is_bounded(name: &str) -> bool {
    let end = |byte: u8| byte.is_ascii_alphanumeric();
    name.len() <= LONGEST && has_ends(name, end) && name.bytes().all(|byte| end(byte) || b"-_.".contains(&byte))
}

/// Whether the first and the last byte are there and as `end` wants them.
fn has_ends(name: &str, end: impl Fn(u8) -> bool) -> bool {
    let bytes = name.as_bytes();
    bytes.first().is_some_and(|&byte| end(byte)) && bytes.last().is_some_and(|&byte| end(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn child_names_are_those_of_knative() {
        let long = "a-very-long-service-name-that-goes-on-and-on-for-a-while-abcd";
        let revision = "a-very-long-service-name-that-goes-on-and-on-for-a-whil-00012";
        let a60 = "a".repeat(60);
        for (parent, suffix, expected) in [
            ("hello", "-00001", "hello-00001"),
            ("hello-00001", "-deployment", "hello-00001-deployment"),
            (a60.as_str(), "-00001", "aaaaaaaaaaaaaaaaaaaaaaaaacc7ed669cf88f201c3297c6a91e1d18d-00001"),
            (long, "-00012", "a-very-long-service-name-8eef3e39c6d8a1f7cef753be8d35a25a-00012"),
            (revision, "-deployment", "a-very-long-service-bc8b1f3292ef8c7a2635eda74483e646-deployment"),
        ] {
            assert_eq!(child_name(parent, suffix), expected);
        }
    }

    #[test]
    fn suffix_that_leaves_no_room_is_cut_after_the_hash() {
        let suffix = format!("-{}", "s".repeat(62));
        let name = child_name("p", &suffix);
        assert_eq!(name.len(), 63);
        assert!(name.starts_with('p') && name[33..].starts_with("-ssss"), "{name}");
        // 31 of the parent and the hash are 63 already; a '-' from the suffix would end the name, and is cut.
        assert_eq!(child_name(&"p".repeat(40), &suffix).len(), 63);
        assert_eq!(child_name(&"p".repeat(30), &suffix).len(), 62);
    }

    #[test]
    fn labels_and_prefixes() {
        for name in ["a", "a-1", "x".repeat(63).as_str()] {
            assert!(is_dns1035_label(name) && is_dns1035_prefix(name), "{name}");
        }
        for name in ["", "-a", "1a", "A", "a_b", "a.b", "x".repeat(64).as_str()] {
            assert!(!is_dns1035_label(name) && !is_dns1035_prefix(name), "{name}");
        }
        assert!(is_dns1035_prefix("a-") && !is_dns1035_label("a-") && !is_dns1035_prefix("-"));
        assert!(is_dns1123_label("1a") && !is_dns1123_label("a."));
        assert!(is_dns1123_subdomain("a.b-c.1") && !is_dns1123_subdomain("a..b") && !is_dns1123_subdomain(""));
    }

    #[test]
    fn keys_and_values_of_labels_are_those_kubernetes_takes() {
        for name in ["app", "A.b-c_9", "example.com/app", "apps/v1", "v1", &format!("{}/a", "x".repeat(253))] {
            assert!(is_qualified_name(name), "{name}");
        }
        let (long, long_prefix) = ("a".repeat(64), format!("{}/a", "x".repeat(254)));
        for name in ["", "-a", "a-", "a b", "/a", "Example.com/a", "a..b/c", "a/b/c", "a/", &long, &long_prefix] {
            assert!(!is_qualified_name(name), "{name}");
        }
        assert!(is_label_value("") && is_label_value("A.b-c_9"));
        assert!(!is_label_value("a/b") && !is_label_value("-") && !is_label_value(&long));
    }
}
