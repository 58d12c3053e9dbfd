//! Attribute values as header values. Source: HTTP protocol binding 1.0.2, 3.1.3.2.

use std::borrow::Cow;

/// Reads a header value: unquoted if it is one quoted string, then percent-decoded once.
///
/// A `%` that no two hexadecimal digits follow stands for itself. `None` if the value, or what it decodes to, is not
/// UTF-8. Control characters pass: no attribute may have one, wherever it came from, so validation refuses them.
pub(super) fn decode(raw: &[u8]) -> Option<String> {
    let text = str::from_utf8(raw).ok()?;
    let text = unquote(text);
    if text.as_bytes().contains(&b'%') { percent_decode(text.as_bytes()) } else { Some(text.into_owned()) }
}

fn percent_decode(text: &[u8]) -> Option<String> {
    let decoded: Vec<u8> = percent_encoding::percent_decode(text).collect();
    String::from_utf8(decoded).ok()
}

/// The content of a quoted string (RFC 7230, 3.2.6). Text that is not wholly one is left as it is.
fn unquote(text: &str) -> Cow<'_, str> {
    let Some(inner) = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) else {
        return Cow::Borrowed(text);
    };
    if !inner.contains(['"', '\\']) {
        return Cow::Borrowed(inner);
    }
    let mut unescaped = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        match character {
            // The string ended before the text did, so the text is no quoted string.
            '"' => return Cow::Borrowed(text),
            '\\' => match characters.next() {
                Some(escaped) => unescaped.push(escaped),
                None => return Cow::Borrowed(text),
            },
            plain => unescaped.push(plain),
        }
    }
    Cow::Owned(unescaped)
}

/// Appends `text` as a header value: all but printable ASCII percent-encoded, and of that space, `"` and `%`.
pub(super) fn encode(text: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| !is_plain(*byte)) {
        let (plain, tail) = rest.split_at(at);
        out.extend_from_slice(plain);
        let byte = tail[0];
        out.extend_from_slice(&[b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 0x0f)]]);
        rest = &tail[1..];
    }
    out.extend_from_slice(rest);
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b'"' && byte != b'%'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(text: &str) -> String {
        let mut out = Vec::new();
        encode(text, &mut out);
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn values_are_encoded_as_the_binding_says() {
        assert_eq!(encoded("Euro € 😀"), "Euro%20%E2%82%AC%20%F0%9F%98%80");
        assert_eq!(encoded("\"50%\"~!\\"), "%2250%25%22~!\\");
        assert_eq!(encoded("\u{0}\u{7f}\u{85}"), "%00%7F%C2%85");
        assert_eq!(encoded(""), "");
    }

    #[test]
    fn values_are_decoded_as_the_binding_says() {
        let table: &[(&str, &str)] = &[
            ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),
            ("Euro%20%e2%82%ac", "Euro €"),
            ("%41%7e", "A~"),
            ("%2541", "%41"),
            ("100%", "100%"),
            ("100%4", "100%4"),
            ("%zz%", "%zz%"),
            ("Käse €", "Käse €"),
            ("two words", "two words"),
            (r#""two words""#, "two words"),
            (r#""say \"hi\" \\ %20""#, "say \"hi\" \\  "),
            (r#""""#, ""),
            (r#"""#, r#"""#),
            (r#""open"#, r#""open"#),
            (r#"a "b" c"#, r#"a "b" c"#),
            (r#""a" b "c""#, r#""a" b "c""#),
            (r#""a\""#, r#""a\""#),
            ("%22a%22", "\"a\""),
            ("", ""),
        ];
        for (header, value) in table {
            assert_eq!(decode(header.as_bytes()).as_deref(), Some(*value), "{header}");
        }
    }

    #[test]
    fn what_is_not_utf8_is_refused() {
        for header in [&b"%C0%A0"[..], b"%FF", b"%E2%82", b"\xff", b"\xc0\xa0", b"%ED%A0%80", b"\xe2%82%ac"] {
            assert_eq!(decode(header), None, "{header:?}");
        }
    }
}
