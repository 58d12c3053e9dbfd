//! `weir kubeconfig`: the way in for `kubectl` and other clients.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde_yaml_ng::{Mapping, Value};

use super::{Invocation, output};
use crate::data_dir::write_atomically;
use crate::failure::{Exit, Failure, OrFail, Outcome};

#[derive(Debug, clap::Args)]
pub(super) struct Command {
    /// Add it to this file, as the current context [the first of $KUBECONFIG, else ~/.kube/config]
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    merge: Option<Option<PathBuf>>,
    /// Name of cluster, user and context
    #[arg(long, value_name = "NAME", default_value = "weir")]
    context: String,
    /// Address under which the client finds the API: https://weir.example.com:7443
    #[arg(long, value_name = "URL")]
    server: Option<String>,
}

impl Command {
    pub(super) fn run(&self, invocation: &Invocation) -> Outcome {
        let path = invocation.settings()?.data_dir.join("kubeconfig");
        let mut ours = match read(&path)? {
            Some(config) => config,
            None => {
                let text = format!("{} does not exist: no weir has run on this data directory", path.display());
                return Err(Failure::text(Exit::NotFound, text).next("start `weir run`, or name its --data-dir"));
            }
        };
        self.adapt(&mut ours)?;
        let Some(target) = &self.merge else { return output::print(&serde_yaml_ng::to_string(&ours)?) };
        let target = target.clone().or_else(|| default_file(invocation)).ok_or_else(|| {
            Failure::text(Exit::Usage, "no home directory to look for .kube/config in")
                .next("name the file: --merge FILE")
        })?;
        // Through links, so that a link stays one.
        let target = resolve(target);
        if fs::metadata(&target).is_ok_and(|found| !found.is_file()) {
            return Err(Failure::text(Exit::Usage, format!("{} is not a regular file", target.display())));
        }
        let merged = match read(&target)? {
            Some(theirs) => {
                check(&theirs, &target)?;
                merge(theirs, ours)
            }
            None => ours,
        };
        let text = serde_yaml_ng::to_string(&merged)?;
        let write = || {
            if let Some(directory) = target.parent().filter(|directory| !directory.as_os_str().is_empty()) {
                fs::create_dir_all(directory)?;
            }
            write_atomically(&target, text.as_bytes(), 0o600)
        };
        write().or_fail(Exit::Failure, || format!("cannot write {}", target.display()))?;
        output::tell(&format!("context {:?} is in {} and is the current one", self.context, target.display()));
        Ok(())
    }

    /// Gives our one cluster, user and context the names and address asked for.
    fn adapt(&self, config: &mut Mapping) -> Outcome {
        if let Some(server) = &self.server {
            let url = server.parse::<url::Url>().ok().filter(|url| matches!(url.scheme(), "http" | "https"));
            if url.is_none() {
                return Err(Failure::text(Exit::Usage, format!("{server:?} is no URL such as https://host:7080")));
            }
        }
        let name = Value::from(self.context.as_str());
        for list in LISTS {
            for entry in config.get_mut(*list).and_then(Value::as_sequence_mut).into_iter().flatten() {
                entry["name"] = name.clone();
                if let Some(cluster) = entry.get_mut("cluster")
                    && let Some(server) = &self.server
                {
                    cluster["server"] = Value::from(server.as_str());
                }
                if let Some(context) = entry.get_mut("context") {
                    context["cluster"] = name.clone();
                    context["user"] = name.clone();
                }
            }
        }
        config.insert("current-context".into(), name);
        Ok(())
    }
}

/// What a kubeconfig holds several of, by name.
const LISTS: &[&str] = &["clusters", "users", "contexts"];

/// Where a path leads in the end, also if nothing is there.
fn resolve(mut path: PathBuf) -> PathBuf {
    for _ in 0..32 {
        let Ok(link) = fs::read_link(&path) else { break };
        path = path.parent().unwrap_or(Path::new("")).join(link);
    }
    path
}

/// Refuses a file whose entries are not where a kubeconfig has them: merging would lose them.
fn check(config: &Mapping, path: &Path) -> Outcome {
    let odd = LISTS.iter().find(|list| config.get(**list).is_some_and(|list| !list.is_sequence() && !list.is_null()));
    match odd {
        Some(list) => {
            Err(Failure::text(Exit::Usage, format!("{} is no kubeconfig: {list} is not a list", path.display())))
        }
        None => Ok(()),
    }
}

/// `theirs` with `ours` in it; entries of the same name are replaced, everything else stays.
fn merge(mut theirs: Mapping, ours: Mapping) -> Mapping {
    for (key, value) in ours {
        let is_list = key.as_str().is_some_and(|key| LISTS.contains(&key));
        match (theirs.get_mut(&key), value) {
            (Some(Value::Sequence(entries)), Value::Sequence(new)) if is_list => {
                entries.retain(|entry| new.iter().all(|new| new.get("name") != entry.get("name")));
                entries.extend(new);
            }
            (_, value) => drop(theirs.insert(key, value)),
        }
    }
    theirs
}

fn default_file(invocation: &Invocation) -> Option<PathBuf> {
    let set = |name: &str| invocation.environment.get(name).filter(|value| !value.is_empty());
    let listed = set("KUBECONFIG").and_then(|list| std::env::split_paths(list).next());
    listed.or_else(|| set("HOME").map(|home| Path::new(home).join(".kube/config")))
}

fn read(path: &Path) -> Outcome<Option<Mapping>> {
    let named = || format!("cannot read kubeconfig {}", path.display());
    match fs::read_to_string(path) {
        Ok(text) if text.trim().is_empty() => Ok(None),
        Ok(text) => serde_yaml_ng::from_str(&text).or_fail(Exit::Usage, named).map(Some),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).or_fail(Exit::Usage, named),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Mapping {
        serde_yaml_ng::from_str(text).expect("YAML")
    }

    #[test]
    fn merging_replaces_entries_of_the_same_name_and_keeps_the_rest() {
        let theirs = parse(
            "{apiVersion: v1, kind: Config, preferences: {colors: true}, current-context: prod, \
             clusters: [{name: prod, cluster: {server: p}}, {name: weir, cluster: {server: old}}], contexts: null}",
        );
        let ours = parse(
            "{current-context: weir, clusters: [{name: weir, cluster: {server: new}}], users: [{name: weir, user: {}}], \
             contexts: [{name: weir, context: {}}]}",
        );
        let merged = merge(theirs, ours);
        let expected = parse(
            "{apiVersion: v1, kind: Config, preferences: {colors: true}, current-context: weir, \
             clusters: [{name: prod, cluster: {server: p}}, {name: weir, cluster: {server: new}}], \
             contexts: [{name: weir, context: {}}], users: [{name: weir, user: {}}]}",
        );
        assert_eq!(merged, expected);
    }

    #[test]
    fn names_and_address_are_those_asked_for() {
        let mut config = parse(&weir_standalone::api::kubeconfig("weir", "http://127.0.0.1:1", None));
        let command = Command { merge: None, context: "lab".to_owned(), server: Some("https://h:2".to_owned()) };
        command.adapt(&mut config).expect("adapts");
        assert_eq!(config, parse(&weir_standalone::api::kubeconfig("lab", "https://h:2", None)));
        let command = Command { server: Some("h:2".to_owned()), ..command };
        assert_eq!(command.adapt(&mut config).expect_err("no URL").exit(), Exit::Usage);
    }
}
