//! Amounts as Kubernetes writes them: `100m`, `1.5Gi`, `2e3`.

/// What [`is_quantity`] asks for, for error messages.
pub(super) const QUANTITY: &str = "expected a quantity of 0 or more, such as 100m, 1.5 or 512Mi";

/// Whether `text` is an amount, and not a negative one.
pub(super) fn is_quantity(text: &str) -> bool {
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(end);
    let is_number =
        number.bytes().any(|byte| byte.is_ascii_digit()) && number.bytes().filter(|&b| b == b'.').count() < 2;
    is_number && is_suffix(suffix)
}

fn is_suffix(suffix: &str) -> bool {
    let exponent = suffix.strip_prefix(['e', 'E']).map(|rest| rest.strip_prefix(['+', '-']).unwrap_or(rest));
    matches!(suffix, "" | "n" | "u" | "m" | "k" | "M" | "G" | "T" | "P" | "E" | "Ki" | "Mi" | "Gi" | "Ti" | "Pi" | "Ei")
        || exponent.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::is_quantity;

    #[test]
    fn quantities() {
        for text in ["0", "1", "+1", "1.", ".5", "100m", "1.5Gi", "2e3", "2E-3", "1E", "12k"] {
            assert!(is_quantity(text), "{text}");
        }
        for text in ["", ".", "m", "-1", "1 Gi", "1gi", "1.2.3", "1e", "1ex", "lots", "1kB"] {
            assert!(!is_quantity(text), "{text}");
        }
    }
}
