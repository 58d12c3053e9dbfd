//! The syntaxes attribute values follow: URI references, timestamps, media types, text without control characters.
//!
//! Each check is one pass over the text and allocates nothing: they run on every event.

/// Whether `text` has a control character (U+0000 to U+001F, U+007F to U+009F), which no CloudEvents String may have.
pub(super) fn has_control(text: &str) -> bool {
    // 0xC2 leads U+0080 to U+00BF; only then, or if a control byte was seen, is the exact look worth its price.
    let suspicious = text.bytes().fold(false, |found, byte| found | (byte < 0x20) | (byte == 0x7f) | (byte == 0xc2));
    suspicious && text.chars().any(char::is_control)
}

/// Whether `text` is a URI-reference (RFC 3986, 4.1). Non-ASCII characters pass too (RFC 3987): producers send them.
pub(crate) fn is_uri_reference(text: &str) -> bool {
    match split_scheme(text) {
        Some((_, rest)) => is_uri_rest(rest),
        None => false,
    }
}

/// Whether `text` is a URI with a scheme and something after it. A fragment is allowed: JSON Schema refers with one.
pub(super) fn is_absolute_uri(text: &str) -> bool {
    matches!(split_scheme(text), Some((Some(_), rest)) if !rest.is_empty() && is_uri_rest(rest))
}

/// Splits the scheme off. `None` if what stands before a first `:` can be no scheme: then it is no reference either,
/// because the first segment of a relative path has no colon.
fn split_scheme(text: &str) -> Option<(Option<&str>, &str)> {
    match text.find([':', '/', '?', '#']) {
        Some(at) if text.as_bytes()[at] == b':' => {
            let scheme = &text[..at];
            let valid = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
                && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
            valid.then_some((Some(scheme), &text[at + 1..]))
        }
        _ => Some((None, text)),
    }
}

fn is_uri_rest(rest: &str) -> bool {
    let bytes = rest.as_bytes();
    let mut fragment = false;
    for (at, &byte) in bytes.iter().enumerate() {
        match byte {
            b'%' if bytes.get(at + 1..at + 3).is_none_or(|hex| !hex.iter().all(u8::is_ascii_hexdigit)) => return false,
            b'#' if fragment => return false,
            b'#' => fragment = true,
            b' ' | b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' => return false,
            byte if byte.is_ascii_control() => return false,
            _ => {}
        }
    }
    rest.strip_prefix("//").is_none_or(has_valid_port)
}

/// Whether the authority that opens `rest` ends in digits after its last colon, outside the brackets of an IP literal.
fn has_valid_port(rest: &str) -> bool {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let after_host = match host.strip_prefix('[') {
        Some(literal) => match literal.split_once(']') {
            Some((_, after)) => after,
            None => return false,
        },
        None => host.find(':').map_or("", |at| &host[at..]),
    };
    after_host.is_empty() || after_host.strip_prefix(':').is_some_and(|port| port.bytes().all(|b| b.is_ascii_digit()))
}

/// Whether `text` is a `date-time` of RFC 3339, a leap second included.
pub(super) fn is_timestamp(text: &str) -> bool {
    let bytes = text.as_bytes();
    let Some((fixed, rest)) = bytes.split_at_checked(19) else { return false };
    let punctuation = fixed[4] == b'-'
        && fixed[7] == b'-'
        && matches!(fixed[10], b'T' | b't')
        && fixed[13] == b':'
        && fixed[16] == b':';
    if !punctuation {
        return false;
    }
    let (Some(century), Some(year_of_century), Some(month), Some(day)) =
        (two_digits(&fixed[0..2]), two_digits(&fixed[2..4]), two_digits(&fixed[5..7]), two_digits(&fixed[8..10]))
    else {
        return false;
    };
    let (Some(hour), Some(minute), Some(second)) =
        (two_digits(&fixed[11..13]), two_digits(&fixed[14..16]), two_digits(&fixed[17..19]))
    else {
        return false;
    };
    let year = u16::from(century) * 100 + u16::from(year_of_century);
    (1..=days_in(year, month)).contains(&day)
        && hour <= 23
        && minute <= 59
        && second <= 60
        && without_fraction(rest).is_some_and(is_offset)
}

fn two_digits(bytes: &[u8]) -> Option<u8> {
    match bytes {
        &[tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => Some((tens - b'0') * 10 + (ones - b'0')),
        _ => None,
    }
}

/// Days of a month, 0 for one that does not exist.
fn days_in(year: u16, month: u8) -> u8 {
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        _ => 0,
    }
}

fn without_fraction(rest: &[u8]) -> Option<&[u8]> {
    let Some(fraction) = rest.strip_prefix(b".") else { return Some(rest) };
    let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (digits > 0).then(|| &fraction[digits..])
}

fn is_offset(rest: &[u8]) -> bool {
    match rest {
        [b'Z' | b'z'] => true,
        [b'+' | b'-', hour @ .., b':', m1, m2] => {
            two_digits(hour).is_some_and(|hour| hour <= 23) && two_digits(&[*m1, *m2]).is_some_and(|m| m <= 59)
        }
        _ => false,
    }
}

/// Whether `text` is a media type (RFC 2046): `type/subtype` and parameters. Parameter values are read leniently (an
/// unquoted `/` or `:` passes), because many producers write them so.
pub(super) fn is_media_type(text: &str) -> bool {
    let (essence, parameters) = split_media_type(text);
    essence.split_once('/').is_some_and(|(main, sub)| is_token(main) && is_token(sub)) && are_parameters(parameters)
}

/// The `type/subtype` of a media type and, from its `;` on, the parameters.
fn split_media_type(text: &str) -> (&str, &str) {
    let (essence, parameters) = text.split_at(text.find(';').unwrap_or(text.len()));
    (essence.trim_end_matches([' ', '\t']), parameters)
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        )
}

fn are_parameters(mut rest: &str) -> bool {
    while let Some(parameter) = rest.strip_prefix(';') {
        let parameter = parameter.trim_start_matches([' ', '\t']);
        if parameter.is_empty() || parameter.starts_with(';') {
            rest = parameter;
            continue;
        }
        let Some((name, value)) = parameter.split_once('=') else { return false };
        let Some(length) = parameter_value_length(value) else { return false };
        if !is_token(name) {
            return false;
        }
        rest = value[length..].trim_start_matches([' ', '\t']);
    }
    rest.is_empty()
}

/// Length of the token or quoted string that opens `value`; `None` if there is neither.
fn parameter_value_length(value: &str) -> Option<usize> {
    let bytes = value.as_bytes();
    if bytes.first() != Some(&b'"') {
        let length = bytes.iter().position(|&byte| matches!(byte, b';' | b' ' | b'\t')).unwrap_or(bytes.len());
        return (length > 0 && bytes[..length].iter().all(|byte| byte.is_ascii_graphic() && *byte != b'"'))
            .then_some(length);
    }
    let mut escaped = false;
    for (at, &byte) in bytes.iter().enumerate().skip(1) {
        match byte {
            _ if !(byte.is_ascii_graphic() || byte == b' ') => return None,
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// Whether a media type declares JSON: `*/json` or `*/*+json`, whatever its parameters.
pub(super) fn is_json(media_type: &str) -> bool {
    split_media_type(media_type).0.split_once('/').is_some_and(|(_, sub)| is_or_ends(sub, "json"))
}

/// Whether a media type declares UTF-8 text that belongs in a JSON string: `text/*`, XML, YAML, forms and the like.
pub(super) fn is_text(media_type: &str) -> bool {
    let (essence, parameters) = split_media_type(media_type);
    let Some((main, sub)) = essence.split_once('/') else { return false };
    let textual = main.eq_ignore_ascii_case("text")
        || ["xml", "yaml", "x-yaml", "javascript", "graphql", "sql", "x-ndjson", "x-www-form-urlencoded"]
            .iter()
            .any(|text| is_or_ends(sub, text));
    textual && is_utf8(parameters)
}

/// Whether `sub` is `name` or has the structured suffix `+name`.
fn is_or_ends(sub: &str, name: &str) -> bool {
    let suffix = sub.rsplit_once('+').map_or(sub, |(_, suffix)| suffix);
    suffix.eq_ignore_ascii_case(name)
}

fn is_utf8(parameters: &str) -> bool {
    parameters
        .split(';')
        .filter_map(|parameter| parameter.split_once('='))
        .filter(|(name, _)| name.trim().eq_ignore_ascii_case("charset"))
        .all(|(_, charset)| {
            let charset = charset.trim().trim_matches('"');
            charset.eq_ignore_ascii_case("utf-8")
                || charset.eq_ignore_ascii_case("utf8")
                || charset.eq_ignore_ascii_case("us-ascii")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uri_references() {
        let good = [
            "/mycontext",
            "a",
            "../x?y=1#z",
            "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66",
            "mailto:cncf@cncf.io",
            "https://github.com/cloudevents/spec/pull?x=%7B#L1",
            "http://user:pw@[::1]:8080/p",
            "http://[::1]",
            "//host:80",
            "localhost:8080",
            "1-555-123-4567",
            "/apis/v1/namespaces/ns/pingsources/käse",
            "#fragment",
            "http://h:/",
        ];
        for text in good {
            assert!(is_uri_reference(text), "{text}");
        }
        let bad = [
            "a b",
            "a\"b",
            "<a>",
            "a\\b",
            "^",
            "{x}",
            "a|b",
            "%",
            "%4",
            "%zz",
            "a#b#c",
            ":a",
            "1:2",
            "my_app:x",
            "http://h:abc/",
            "http://[::1",
            "http://[::1]x",
            "a\u{1}",
        ];
        for text in bad {
            assert!(!is_uri_reference(text), "{text}");
        }
    }

    #[test]
    fn absolute_uris() {
        for text in ["http://example.com/schema#/definitions/a", "urn:x", "schema+x.y:z"] {
            assert!(is_absolute_uri(text), "{text}");
        }
        for text in ["", "/schema", "//host/schema", "schema", "x:", "1x:y", "http://a b"] {
            assert!(!is_absolute_uri(text), "{text}");
        }
    }

    #[test]
    fn timestamps() {
        let good = [
            "2018-04-05T17:31:00Z",
            "2018-04-05t17:31:00z",
            "2018-04-05T17:31:00.123456789+05:30",
            "2018-04-05T17:31:00.1-00:00",
            "2020-02-29T00:00:00Z",
            "2000-02-29T00:00:00Z",
            "1990-12-31T23:59:60Z",
        ];
        for text in good {
            assert!(is_timestamp(text), "{text}");
        }
        let bad = [
            "",
            "2018-04-05",
            "2018-04-05T17:31:00",
            "2018-04-05 17:31:00Z",
            "2018-04-05T17:31Z",
            "2018-04-05T17:31:00.Z",
            "2018-04-05T17:31:00+0530",
            "2018-04-05T17:31:00+24:00",
            "2018-04-05T17:31:00+05:60",
            "2018-04-05T17:31:00+5:30",
            "2018-04-05T24:00:00Z",
            "2018-13-05T17:31:00Z",
            "2018-00-05T17:31:00Z",
            "2019-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2018-04-31T00:00:00Z",
            "2018-04-00T00:00:00Z",
            "2018-04-05T17:31:61Z",
            "2018-04-05T17:31:00ZZ",
            "١٢٣٤-04-05T17:31:00Z",
        ];
        for text in bad {
            assert!(!is_timestamp(text), "{text}");
        }
    }

    #[test]
    fn media_types() {
        let good = [
            "application/json",
            "application/json; charset=utf-8",
            "Application/Vnd.x+JSON;a=b;c=\"d;\\\"e\"",
            "text/plain;",
            "text/plain; ",
            "multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW",
            "application/x; profile=http://example.com/p",
        ];
        for text in good {
            assert!(is_media_type(text), "{text}");
        }
        let bad = [
            "",
            "json",
            "application/",
            "/json",
            "a b/c",
            "a/b c",
            "a/b; x",
            "a/b; =x",
            "a/b; x=",
            "a/b; x=\"y",
            "a/b; x=y z",
            "a/b; x=\"ü\"",
            "text/plain, text/html",
            "a/b/c",
        ];
        for text in bad {
            assert!(!is_media_type(text), "{text}");
        }
    }

    #[test]
    fn kinds_of_content() {
        for text in ["application/json", "text/JSON; a=b", "application/cloudevents+json", "x/y+z+json"] {
            assert!(is_json(text), "{text}");
        }
        for text in ["application/jsonx", "json", "application/xml", "application/json+xml"] {
            assert!(!is_json(text), "{text}");
        }
        for text in ["text/plain", "application/xml", "image/svg+xml", "text/plain; charset=\"UTF-8\""] {
            assert!(is_text(text), "{text}");
        }
        for text in ["application/octet-stream", "text/plain; charset=iso-8859-1", "image/png", "x"] {
            assert!(!is_text(text), "{text}");
        }
    }

    #[test]
    fn control_characters() {
        for text in ["\0", "a\tb", "a\r\n", "\u{7f}", "\u{80}", "\u{9f}"] {
            assert!(has_control(text), "{text:?}");
        }
        for text in ["", "plain", "\u{a0}", "Euro € 😀", "Â"] {
            assert!(!has_control(text), "{text:?}");
        }
    }
}
