//! Protobuf as bytes: numbered fields, without knowing what they mean.

use super::Malformed;

/// Content of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wire<'a> {
    /// A number in the variable-length form.
    Number(u64),
    /// Text, bytes, a message or packed numbers.
    Bytes(&'a [u8]),
    /// A fixed-length number. Kubernetes has none.
    Fixed,
}

/// The fields of a message in their order on the wire, up to the first that is damaged.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) fn of(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    fn field(&mut self) -> Result<(u32, Wire<'a>), Malformed> {
        let key = number(&mut self.rest)?;
        let field = u32::try_from(key >> 3).ok().filter(|field| *field > 0);
        let field = field.ok_or(Malformed::new("a field has no valid number"))?;
        let content = match key & 7 {
            0 => Wire::Number(number(&mut self.rest)?),
            1 => self.take(8).map(|_| Wire::Fixed)?,
            2 => {
                let length = number(&mut self.rest)?;
                Wire::Bytes(self.take(usize::try_from(length).unwrap_or(usize::MAX))?)
            }
            5 => self.take(4).map(|_| Wire::Fixed)?,
            _ => return Err(Malformed::new("a field has an unknown wire type")),
        };
        Ok((field, content))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(TRUNCATED)?;
        self.rest = rest;
        Ok(taken)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Wire<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

const TRUNCATED: Malformed = Malformed { path: String::new(), reason: "it ends too early" };

/// Reads a variable-length number from the front of `bytes`.
pub(super) fn number(bytes: &mut &[u8]) -> Result<u64, Malformed> {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let (&byte, rest) = bytes.split_first().ok_or(TRUNCATED)?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        if shift > 63 || (shift == 63 && bits > 1) {
            break;
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Malformed::new("a number is too long"))
}

/// Text, which is always UTF-8.
pub(super) fn text(bytes: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(bytes).map_err(|_| Malformed::new("not UTF-8"))
}
