//! What the API says about an object, turned into problems with file and line.

use kube::core::Status;

use super::{Document, Problem};

impl Document {
    /// The problems that `status`, a refusal by the API, tells of this object; at least one.
    pub(crate) fn blame(&self, status: &Status) -> Vec<Problem> {
        let causes = status.details.iter().flat_map(|details| &details.causes);
        let problems: Vec<_> = causes
            .filter(|cause| !cause.field.is_empty())
            .map(|cause| self.problem(&cause.field, cause.message.clone()))
            .collect();
        if !problems.is_empty() {
            return problems;
        }
        let unknown = self.quoted_fields(&status.message);
        if !unknown.is_empty() {
            return unknown;
        }
        let (_, reason) = status.message.rsplit_once("validation failed: ").unwrap_or(("", &status.message));
        reason.lines().flat_map(|line| self.named_fields(line)).collect()
    }

    /// `unknown field "spec.x", duplicate field "spec.y"`: what strict decoding says.
    fn quoted_fields(&self, message: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        for what in ["unknown field", "duplicate field"] {
            for part in message.split(what).skip(1) {
                if let Some(path) = part.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next()) {
                    problems.push(self.problem(path, what));
                }
            }
        }
        problems
    }

    /// `missing field(s): spec.a, spec.b`: what Knative's validation says, paths last.
    fn named_fields(&self, line: &str) -> Vec<Problem> {
        let is_path = |text: &&str| {
            let first = text.split(['.', '[']).next().unwrap_or_default();
            ["spec", "metadata", "status", "apiVersion", "kind", "data"].contains(&first) && !text.contains(' ')
        };
        if let Some((reason, paths)) = line.rsplit_once(": ") {
            let paths: Vec<_> = paths.split(", ").collect();
            if paths.iter().all(is_path) {
                return paths.into_iter().map(|path| self.problem(path, reason)).collect();
            }
        }
        vec![self.problem("", line)]
    }
}
