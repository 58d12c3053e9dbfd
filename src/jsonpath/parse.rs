//! The grammar of templates.

use serde_json::Value;

use super::{Node, Operand, Operator, Step};

type Result<T> = std::result::Result<T, String>;

/// Reads a whole template.
pub(super) fn template(text: &str) -> Result<Vec<Node>> {
    let mut parser = Parser { rest: text };
    let nodes = parser.nodes(false)?;
    if parser.rest.is_empty() { Ok(nodes) } else { Err("{end} without {range}".to_owned()) }
}

struct Parser<'a> {
    rest: &'a str,
}

impl Parser<'_> {
    /// Nodes up to the end, or up to `{end}` inside a range.
    fn nodes(&mut self, inside: bool) -> Result<Vec<Node>> {
        let mut nodes = Vec::new();
        while !self.rest.is_empty() {
            let (plain, rest) = self.rest.split_at(self.rest.find('{').unwrap_or(self.rest.len()));
            if !plain.is_empty() {
                nodes.push(Node::Text(plain.to_owned()));
            }
            self.rest = rest;
            if rest.is_empty() {
                break;
            }
            let before = self.rest;
            self.skip("{");
            if self.word("end") {
                self.expect("}")?;
                if inside {
                    return Ok(nodes);
                }
                self.rest = before;
                return Ok(nodes);
            }
            if self.word("range") {
                let path = self.path()?;
                self.expect("}")?;
                nodes.push(Node::Range(path, self.nodes(true)?));
                continue;
            }
            self.action(&mut nodes)?;
        }
        if inside { Err("{range} without {end}".to_owned()) } else { Ok(nodes) }
    }

    /// What stands between braces: a quoted text or a path.
    fn action(&mut self, nodes: &mut Vec<Node>) -> Result<()> {
        self.space();
        if self.rest.starts_with(['"', '\'']) {
            let text = self.quoted()?;
            nodes.push(Node::Text(text));
        } else {
            nodes.push(Node::Path(self.path()?));
        }
        self.space();
        self.expect("}")
    }

    fn path(&mut self) -> Result<Vec<Step>> {
        self.space();
        let mut steps = Vec::new();
        if self.skip("$") {
            steps.push(Step::Root);
        } else {
            self.skip("@");
        }
        loop {
            if self.skip("..") {
                steps.push(Step::Recursive);
                if !self.rest.starts_with('[') {
                    steps.push(self.field()?);
                }
            } else if self.skip(".") {
                // A dot alone is the value itself.
                if !self.rest.starts_with(['[', '}', ')']) && !self.rest.is_empty() {
                    steps.push(self.field()?);
                }
            } else if self.skip("[") {
                steps.push(self.subscript()?);
            } else if steps.is_empty() && self.rest.starts_with(|c: char| c.is_alphabetic()) {
                steps.push(self.field()?);
            } else {
                return Ok(steps);
            }
        }
    }

    fn field(&mut self) -> Result<Step> {
        if self.skip("*") {
            return Ok(Step::Wildcard);
        }
        let (mut name, mut chars) = (String::new(), self.rest.char_indices());
        let mut end = self.rest.len();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => name.extend(chars.next().map(|(_, escaped)| escaped)),
                '.' | '[' | ']' | '{' | '}' | '(' | ')' | '=' | '!' | '<' | '>' | ',' | '|' | '"' | '\'' => {
                    end = at;
                    break;
                }
                c if c.is_whitespace() => {
                    end = at;
                    break;
                }
                c => name.push(c),
            }
        }
        self.rest = &self.rest[end..];
        if name.is_empty() { Err(format!("expected a field name at {:?}", self.rest)) } else { Ok(Step::Field(name)) }
    }

    /// What stands between brackets, the closing one included.
    fn subscript(&mut self) -> Result<Step> {
        self.space();
        if self.skip("?(") {
            let filter = self.filter()?;
            self.space();
            self.expect(")")?;
            self.expect("]")?;
            return Ok(filter);
        }
        let mut steps = vec![self.item()?];
        loop {
            self.space();
            if self.skip("]") {
                return Ok(if steps.len() == 1 { steps.remove(0) } else { Step::Union(steps) });
            }
            self.expect(",")?;
            self.space();
            steps.push(self.item()?);
        }
    }

    fn item(&mut self) -> Result<Step> {
        if self.skip("*") {
            return Ok(Step::Wildcard);
        }
        if self.rest.starts_with(['"', '\'']) {
            return Ok(Step::Field(self.quoted()?));
        }
        let from = self.integer()?;
        if !self.skip(":") {
            return from.map(Step::Index).ok_or_else(|| format!("expected an index at {:?}", self.rest));
        }
        let until = self.integer()?;
        let step = if self.skip(":") { self.integer()? } else { None };
        Ok(Step::Slice(from, until, step.unwrap_or(1)))
    }

    fn integer(&mut self) -> Result<Option<i64>> {
        let end = self.rest.find(|c: char| c != '-' && !c.is_ascii_digit()).unwrap_or(self.rest.len());
        let (number, rest) = self.rest.split_at(end);
        self.rest = rest;
        if number.is_empty() {
            return Ok(None);
        }
        number.parse().map(Some).map_err(|_| format!("{number:?} is not an index"))
    }

    fn filter(&mut self) -> Result<Step> {
        let left = self.path()?;
        self.space();
        let operators = [
            ("==", Operator::Equal),
            ("!=", Operator::NotEqual),
            ("<=", Operator::LessOrEqual),
            (">=", Operator::GreaterOrEqual),
            ("<", Operator::Less),
            (">", Operator::Greater),
        ];
        let Some((_, operator)) = operators.into_iter().find(|(text, _)| self.skip(text)) else {
            return Ok(Step::Filter(left, None));
        };
        self.space();
        Ok(Step::Filter(left, Some((operator, self.operand()?))))
    }

    fn operand(&mut self) -> Result<Operand> {
        if self.rest.starts_with(['@', '$', '.']) {
            return Ok(Operand::Path(self.path()?));
        }
        if self.rest.starts_with(['"', '\'']) {
            return Ok(Operand::Literal(Value::String(self.quoted()?)));
        }
        let (literal, rest) = self.rest.split_at(self.rest.find([')', ' ']).unwrap_or(self.rest.len()));
        self.rest = rest;
        serde_json::from_str(literal).map(Operand::Literal).map_err(|_| format!("{literal:?} is not a value"))
    }

    /// A text in single or double quotes, with the usual escapes.
    fn quoted(&mut self) -> Result<String> {
        let mut chars = self.rest.char_indices();
        let quote = chars.next().map(|(_, quote)| quote);
        let mut text = String::new();
        while let Some((at, c)) = chars.next() {
            if Some(c) == quote {
                self.rest = &self.rest[at + c.len_utf8()..];
                return Ok(text);
            }
            text.push(match c {
                '\\' => match chars.next() {
                    Some((_, 'n')) => '\n',
                    Some((_, 't')) => '\t',
                    Some((_, 'r')) => '\r',
                    Some((_, other)) => other,
                    None => break,
                },
                c => c,
            });
        }
        Err(format!("a quote is not closed in {:?}", self.rest))
    }

    fn word(&mut self, word: &str) -> bool {
        let Some(rest) = self.rest.trim_start().strip_prefix(word) else { return false };
        let ends = rest.starts_with(|c: char| c.is_whitespace() || c == '}');
        if ends {
            self.rest = rest.trim_start();
        }
        ends
    }

    fn skip(&mut self, token: &str) -> bool {
        let rest = self.rest.strip_prefix(token);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn expect(&mut self, token: &str) -> Result<()> {
        self.space();
        if self.skip(token) { Ok(()) } else { Err(format!("expected {token:?} at {:?}", self.rest)) }
    }
}
