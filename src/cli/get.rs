//! `weir get`: objects in tables or as they are, once or as they change.

use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::connect::{Connect, Session};
use super::format::{Format, without_managed_fields};
use super::table::{GAP, Style, Table};
use super::target::{self, Target};
use super::{Invocation, output};
use crate::client::{JSON, Kind, Kinds, Query, RequestError, TABLE, watch};
use crate::failure::{Exit, Failure, Outcome};

#[derive(Debug, clap::Args)]
pub(super) struct Command {
    /// TYPE [NAME…], TYPE/NAME… or TYPE,TYPE
    #[arg(required = true, value_name = "WHAT")]
    what: Vec<String>,
    /// table, wide, json, yaml, name or jsonpath=TEMPLATE
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Format,
    /// In every namespace
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Only objects with these labels: a=b,c!=d
    #[arg(short = 'l', long, value_name = "LABELS")]
    selector: Option<String>,
    /// Only objects with these fields: metadata.name=x
    #[arg(long, value_name = "FIELDS")]
    field_selector: Option<String>,
    /// Go on printing what changes
    #[arg(short, long)]
    watch: bool,
    /// Rows only
    #[arg(long)]
    no_headers: bool,
    #[command(flatten)]
    connect: Connect,
}

impl Command {
    pub(super) async fn run(&self, invocation: &Invocation) -> Outcome {
        let session = self.connect.open(invocation).await?;
        let kinds = Kinds::discover(&session.client).await?;
        let targets = target::parse(&self.what, &kinds)?;
        if self.watch {
            let [target] = targets.as_slice() else {
                return Err(Failure::text(Exit::Usage, "you may only watch a single resource type at a time"));
            };
            return self.follow(&session, target).await;
        }
        let (mut answers, mut missing) = (Vec::new(), None);
        for target in &targets {
            for answer in self.fetch(&session, target).await {
                match answer {
                    Ok(answer) => answers.push((target.kind, answer)),
                    Err(error) if error.is_not_found() => missing = missing.or(Some(error)),
                    Err(error) => return Err(error.into()),
                }
            }
        }
        if self.output.is_table() {
            self.print_tables(&session, &targets, &answers, missing.is_some())?;
        } else {
            self.print_objects(&targets, answers)?;
        }
        missing.map_or(Ok(()), |error| Err(error.into()))
    }

    /// One answer per name, or one for the whole list.
    async fn fetch(&self, session: &Session, target: &Target<'_>) -> Vec<Result<Value, RequestError>> {
        let accept = if self.output.is_table() { TABLE } else { JSON };
        let paths = if target.names.is_empty() {
            vec![self.query().on(&self.list_path(session, target.kind))]
        } else {
            target.names.iter().map(|name| target.kind.object_path(&session.namespace, name)).collect()
        };
        let mut answers = Vec::new();
        for path in paths {
            let answer = session.client.call(Method::GET, &path, accept, None).await;
            answers.push(answer.map(|answer| answer.value));
        }
        answers
    }

    fn list_path(&self, session: &Session, kind: &Kind) -> String {
        kind.list_path((!self.all_namespaces).then_some(session.namespace.as_str()))
    }

    fn query(&self) -> Query {
        let selectors = Query::default().with_some("labelSelector", self.selector.as_deref());
        selectors.with_some("fieldSelector", self.field_selector.as_deref())
    }

    fn style(&self, several: bool) -> Style {
        Style { wide: self.output == Format::Wide, namespaces: self.all_namespaces, kinds: several }
    }

    fn print_tables(
        &self,
        session: &Session,
        targets: &[Target<'_>],
        answers: &[(&Kind, Value)],
        silent: bool,
    ) -> Outcome {
        let (now, mut tables) = (Timestamp::now(), Vec::<(&Kind, Table)>::new());
        for (kind, answer) in answers {
            let table = Table::of(answer, kind, self.style(targets.len() > 1), now);
            match tables.last_mut() {
                Some((last, rows)) if last == kind => rows.rows.extend(table.rows),
                _ => tables.push((kind, table)),
            }
        }
        let filled: Vec<_> = tables.iter().filter(|(_, table)| !table.rows.is_empty()).collect();
        if filled.is_empty() && !silent {
            let everywhere = self.all_namespaces || targets.iter().all(|target| !target.kind.namespaced);
            let place = if everywhere { String::new() } else { format!(" in {} namespace.", session.namespace) };
            output::tell(&format!("No resources found{place}"));
        }
        let texts: Vec<_> = filled.iter().map(|(_, table)| table.render(!self.no_headers)).collect();
        output::print(&texts.join("\n"))
    }

    fn print_objects(&self, targets: &[Target<'_>], mut answers: Vec<(&Kind, Value)>) -> Outcome {
        for (kind, answer) in &mut answers {
            without_managed_fields(answer);
            name_items(kind, answer);
        }
        if self.output == Format::Name {
            let texts: Outcome<Vec<_>> =
                answers.iter().map(|(kind, answer)| self.output.render(answer, kind)).collect();
            return output::print(&texts?.concat());
        }
        let Some(&kind) = targets.first().map(|target| &target.kind) else { return Ok(()) };
        let single = targets.len() == 1 && targets[0].names.len() == 1;
        let whole = match answers.pop() {
            None => return Ok(()),
            Some((_, object)) if single => object,
            Some(last) => {
                answers.push(last);
                let lists = answers.into_iter().map(|(_, mut answer)| match answer.get_mut("items").map(Value::take) {
                    Some(Value::Array(items)) => items,
                    _ => vec![answer],
                });
                json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": lists.flatten().collect::<Vec<_>>()})
            }
        };
        output::print(&self.output.render(&whole, kind)?)
    }

    /// Prints what is there, then each change, until interrupted.
    async fn follow(&self, session: &Session, target: &Target<'_>) -> Outcome {
        let kind = target.kind;
        let mut query = self.query();
        match target.names.as_slice() {
            [] => {}
            [name] => query = query.with("fieldSelector", &format!("metadata.name={name}")),
            _ => return Err(Failure::text(Exit::Usage, "you may only watch one object or all of them")),
        }
        let path = self.list_path(session, kind);
        let accept = if self.output.is_table() { TABLE } else { JSON };
        loop {
            let first = session.client.call(Method::GET, &query.on(&path), accept, None).await?.value;
            if let [name] = target.names.as_slice()
                && super::table::objects(&first).is_empty()
            {
                session.client.get(&kind.object_path(&session.namespace, name)).await?;
            }
            let version = first["metadata"]["resourceVersion"].as_str().unwrap_or("0").to_owned();
            let mut screen = Screen { style: self.style(false), heading: !self.no_headers, ..Screen::default() };
            self.show(&mut screen, kind, first)?;
            let ended = watch(&session.client, &path, &query, accept, version, |change| {
                self.show(&mut screen, kind, change.object).map_err(Ended::Output)?;
                Ok(None::<()>)
            });
            match ended.await {
                Err(Ended::Watch(error)) if error.is_expired() => {}
                Err(Ended::Watch(error)) => return Err(error.into()),
                Err(Ended::Output(failure)) => return Err(failure),
                Ok(()) => return Ok(()),
            }
        }
    }

    fn show(&self, screen: &mut Screen, kind: &Kind, mut answer: Value) -> Outcome {
        if self.output.is_table() {
            return output::print(&screen.add(Table::of(&answer, kind, screen.style, Timestamp::now())));
        }
        without_managed_fields(&mut answer);
        name_items(kind, &mut answer);
        let objects = super::table::objects(&answer);
        let texts: Outcome<Vec<_>> = objects.into_iter().map(|object| self.output.render(object, kind)).collect();
        output::print(&texts?.concat())
    }
}

/// How a watch of ours ends.
enum Ended {
    Watch(RequestError),
    Output(Failure),
}

impl From<RequestError> for Ended {
    fn from(error: RequestError) -> Self {
        Self::Watch(error)
    }
}

/// What a watch has printed: later rows keep the columns of earlier ones.
#[derive(Debug, Default)]
struct Screen {
    style: Style,
    heading: bool,
    names: Vec<String>,
    widths: Vec<usize>,
}

impl Screen {
    /// The text of further rows. Only the first table of a watch names its columns.
    fn add(&mut self, mut table: Table) -> String {
        if table.heading.len() <= usize::from(self.style.namespaces) {
            table.heading.clone_from(&self.names);
        }
        if table.rows.is_empty() {
            self.names = table.heading;
            return String::new();
        }
        let widths = table.widths(self.heading);
        self.widths.resize(widths.len(), 0);
        for (known, width) in self.widths.iter_mut().zip(&widths) {
            *known = (*known).max(*width);
        }
        let text = table.render_within(self.heading, &self.widths, GAP);
        self.heading = false;
        self.names = table.heading;
        text
    }
}

/// Items of a list may come without their type.
fn name_items(kind: &Kind, answer: &mut Value) {
    for item in answer.get_mut("items").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(item) = item.as_object_mut() {
            item.entry("apiVersion").or_insert_with(|| json!(kind.api_version()));
            item.entry("kind").or_insert_with(|| json!(kind.kind));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(heading: &[&str], rows: &[&[&str]]) -> Table {
        let texts = |cells: &[&str]| cells.iter().map(|&cell| cell.to_owned()).collect();
        Table { heading: texts(heading), rows: rows.iter().map(|row| texts(row)).collect() }
    }

    #[test]
    fn rows_of_a_watch_keep_their_columns_and_name_them_once() {
        let mut screen = Screen { heading: true, ..Screen::default() };
        assert_eq!(screen.add(table(&["NAME", "READY"], &[])), "");
        assert_eq!(
            screen.add(table(&["NAME", "READY"], &[&["long-name", "True"]])),
            "NAME        READY\nlong-name   True\n"
        );
        // Later tables come without column names.
        assert_eq!(screen.add(table(&[], &[&["a", "False"]])), "a           False\n");
    }
}
