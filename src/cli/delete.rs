//! `weir delete`: removes objects and waits until they are gone.

use std::path::PathBuf;
use std::time::Duration;

use http::Method;

use super::connect::{Connect, Session};
use super::{Invocation, output, target, wait};
use crate::client::{JSON, Kind, Kinds, Query};
use crate::failure::{Exit, Failure, Outcome};
use crate::manifest;

#[derive(Debug, clap::Args)]
pub(super) struct Command {
    /// TYPE NAME… or TYPE/NAME…
    #[arg(value_name = "WHAT", required_unless_present = "filename")]
    what: Vec<String>,
    /// The objects in these files, directories or - for standard input
    #[arg(short, long, value_name = "PATH", conflicts_with = "what")]
    filename: Vec<PathBuf>,
    /// Only objects with these labels: a=b,c!=d
    #[arg(short = 'l', long, value_name = "LABELS", conflicts_with = "filename")]
    selector: Option<String>,
    /// Every object of the type in the namespace
    #[arg(long, conflicts_with_all = ["filename", "selector"])]
    all: bool,
    /// What is not there needs no deleting
    #[arg(long)]
    ignore_not_found: bool,
    /// Return only when the objects are gone
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    wait: bool,
    /// Most time to wait; 0 waits for ever
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = super::duration)]
    timeout: Duration,
    #[command(flatten)]
    connect: Connect,
}

/// One object to remove.
struct Doomed {
    kind: Kind,
    namespace: String,
    name: String,
}

impl Command {
    pub(super) async fn run(&self, invocation: &Invocation) -> Outcome {
        let documents = manifest::load(&self.filename)?;
        let session = self.connect.open(invocation).await?;
        let kinds = Kinds::discover(&session.client).await?;
        let mut doomed = Vec::new();
        // What depends on something is usually written below it.
        for document in documents.iter().rev() {
            let kind = kinds.of(document.api_version(), document.kind()).ok_or_else(|| {
                manifest::refuse(&[document.problem("kind", format!("unknown kind {:?}", document.kind()))])
            })?;
            let namespace = document.namespace().unwrap_or(&session.namespace).to_owned();
            doomed.push(Doomed { kind: kind.clone(), namespace, name: document.name().to_owned() });
        }
        if !self.what.is_empty() {
            doomed.extend(self.named(&session, &kinds).await?);
        }
        self.delete(&session, &doomed).await
    }

    async fn named(&self, session: &Session, kinds: &Kinds) -> Outcome<Vec<Doomed>> {
        let mut doomed = Vec::new();
        for target in target::parse(&self.what, kinds)? {
            let mut names = target.names;
            if names.is_empty() {
                if !self.all && self.selector.is_none() {
                    return Err(
                        Failure::text(Exit::Usage, "no names given").next("name objects, or say -l LABELS or --all")
                    );
                }
                let query = Query::default().with_some("labelSelector", self.selector.as_deref());
                let list = session.client.get(&query.on(&target.kind.list_path(Some(&session.namespace)))).await?;
                names = super::names(&list);
            }
            let one = |name| Doomed { kind: target.kind.clone(), namespace: session.namespace.clone(), name };
            doomed.extend(names.into_iter().map(one));
        }
        if doomed.is_empty() {
            output::tell("No resources found");
        }
        Ok(doomed)
    }

    async fn delete(&self, session: &Session, doomed: &[Doomed]) -> Outcome {
        let (mut missing, mut going) = (None, Vec::new());
        for object in doomed {
            let path = object.kind.object_path(&object.namespace, &object.name);
            let body = br#"{"apiVersion":"v1","kind":"DeleteOptions","propagationPolicy":"Background"}"#.to_vec();
            match session.client.call(Method::DELETE, &path, JSON, Some((JSON, body))).await {
                Ok(_) => {
                    output::print_line(&format!("{} {:?} deleted", object.kind.qualified(), object.name))?;
                    going.push(object);
                }
                Err(error) if error.is_not_found() && (self.ignore_not_found || self.all) => {}
                Err(error) if error.is_not_found() => missing = missing.or(Some(error)),
                Err(error) => return Err(error.into()),
            }
        }
        let deadline = wait::Deadline::after(self.timeout);
        for object in going.iter().filter(|_| self.wait) {
            let place = wait::Place { kind: &object.kind, namespace: &object.namespace, name: &object.name };
            wait::until(&session.client, place, &wait::Goal::Deleted, deadline).await?;
        }
        missing.map_or(Ok(()), |error| Err(error.into()))
    }
}
