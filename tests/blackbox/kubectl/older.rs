//! Older manifests, as people still have them, beside their current forms.
