//! Sequence, Parallel, and Choice, which Parallel was called first.

use super::Form;
use super::destination::{delivery, destination, flatten, inline, reference};
use super::notes::Notes;
use super::object::{Object, each, rename};
use super::status::Rule;
use crate::validation::Path;

pub(super) const SEQUENCE: Form = Form { convert: sequence, ..Form::SAME };
pub(super) const SEQUENCE_V1ALPHA1: Form = Form { status: &[Rule::Hostname], ..SEQUENCE };
/// Up to Knative 0.10: `reply` is an ObjectReference.
pub(super) const SEQUENCE_MESSAGING: Form = Form { present: |spec, _| flatten(spec, "reply"), ..SEQUENCE_V1ALPHA1 };

pub(super) const PARALLEL: Form = Form { convert: parallel, ..Form::SAME };
pub(super) const PARALLEL_V1ALPHA1: Form = Form { status: &[Rule::Hostname], ..PARALLEL };

/// Knative 0.8 only: each `reply` is an ObjectReference.
pub(super) const CHOICE: Form = Form {
    convert: choice,
    present: |spec, _| {
        flatten(spec, "reply");
        each(spec, "branches", |_, branch| flatten(branch, "reply"));
        rename(spec, "branches", "cases");
    },
    status: &[Rule::Field("caseStatuses", "branchStatuses"), Rule::Hostname],
    ..Form::SAME
};

fn sequence(spec: &mut Object, notes: &mut Notes<'_>) {
    let at = Path::new("spec");
    each(spec, "steps", |i, step| {
        let at = at.field("steps").index(i);
        inline(step, &at, notes);
        delivery(step, &at, notes);
    });
    reference(spec, "channelTemplate");
    destination(spec, "reply", &at, notes);
}

fn parallel(spec: &mut Object, notes: &mut Notes<'_>) {
    branches(spec, "branches", notes);
}

fn choice(spec: &mut Object, notes: &mut Notes<'_>) {
    branches(spec, "cases", notes);
    notes.rename(spec, &Path::new("spec"), "cases", "branches");
}

/// `name` is what the branches are called in the manifest, so that errors name what was written.
fn branches(spec: &mut Object, name: &str, notes: &mut Notes<'_>) {
    let at = Path::new("spec");
    each(spec, name, |i, branch| {
        let at = at.field(name).index(i);
        for field in ["filter", "subscriber", "reply"] {
            destination(branch, field, &at, notes);
        }
        delivery(branch, &at, notes);
    });
    reference(spec, "channelTemplate");
    destination(spec, "reply", &at, notes);
}
