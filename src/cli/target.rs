//! Which objects a command line means: `TYPE [NAME…]`, `TYPE/NAME…`, `TYPE,TYPE`.

use crate::client::{Kind, Kinds};
use crate::failure::{Exit, Failure, Outcome};

/// Objects of one kind.
#[derive(Debug, PartialEq)]
pub(crate) struct Target<'a> {
    pub(crate) kind: &'a Kind,
    /// The names; empty means all of them.
    pub(crate) names: Vec<String>,
}

/// Reads the words of a command line.
pub(crate) fn parse<'a>(words: &[String], kinds: &'a Kinds) -> Outcome<Vec<Target<'a>>> {
    let usage = |text: &str| Failure::text(Exit::Usage, text).next("name objects as TYPE [NAME…] or TYPE/NAME…");
    let Some(first) = words.first() else { return Err(usage("no resource type")) };
    let mut targets: Vec<Target<'a>> = Vec::new();
    if first.contains('/') {
        for word in words {
            let (kind, name) = word.split_once('/').ok_or_else(|| usage("TYPE/NAME and TYPE NAME do not mix"))?;
            if name.is_empty() || name.contains('/') {
                return Err(usage(&format!("{word:?} is not TYPE/NAME")));
            }
            for kind in kinds.named(kind)? {
                match targets.last_mut() {
                    Some(last) if last.kind == kind => last.names.push(name.to_owned()),
                    _ => targets.push(Target { kind, names: vec![name.to_owned()] }),
                }
            }
        }
        return Ok(targets);
    }
    if words.iter().any(|word| word.contains('/')) {
        return Err(usage("TYPE/NAME and TYPE NAME do not mix"));
    }
    for word in first.split(',').filter(|word| !word.is_empty()) {
        for kind in kinds.named(word)? {
            if !targets.iter().any(|target| target.kind == kind) {
                targets.push(Target { kind, names: words[1..].to_vec() });
            }
        }
    }
    Ok(targets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Vec<(String, Vec<String>)>, Exit> {
        let kinds = Kinds::from(vec![
            Kind::named("g", "v1", "Broker", "brokers"),
            Kind::named("g", "v1", "Trigger", "triggers"),
        ]);
        let words: Vec<_> = words.iter().map(|&word| word.to_owned()).collect();
        let targets = parse(&words, &kinds).map_err(|failure| failure.exit())?;
        Ok(targets.into_iter().map(|target| (target.kind.plural.clone(), target.names)).collect())
    }

    #[test]
    fn words_are_read_as_kubectl_reads_them() {
        let one = |kind: &str, names: &[&str]| (kind.to_owned(), names.iter().map(|&name| name.to_owned()).collect());
        assert_eq!(parsed(&["triggers"]), Ok(vec![one("triggers", &[])]));
        assert_eq!(parsed(&["trigger", "a", "b"]), Ok(vec![one("triggers", &["a", "b"])]));
        assert_eq!(parsed(&["brokers,triggers"]), Ok(vec![one("brokers", &[]), one("triggers", &[])]));
        assert_eq!(
            parsed(&["broker/x", "trigger/a", "trigger/b"]),
            Ok(vec![one("brokers", &["x"]), one("triggers", &["a", "b"])])
        );
        assert_eq!(parsed(&["broker", "trigger/a"]), Err(Exit::Usage));
        assert_eq!(parsed(&["broker/x", "y"]), Err(Exit::Usage));
        assert_eq!(parsed(&[]), Err(Exit::Usage));
        assert_eq!(parsed(&["nonsense"]), Err(Exit::NotFound));
    }
}
