//! GET of a collection: consistent snapshots, in pages if asked for.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::Inner;
use super::failure::Failure;
use super::request::{Params, Target};
use super::selector::Selector;
use super::store::{Key, Listing, Revision};
use super::view::View;

/// Where the next page starts, and the revision the first page showed.
struct Continue {
    revision: Revision,
    after: Key,
}

impl Continue {
    fn encode(&self) -> String {
        let token = json!([self.revision, &*self.after.namespace, &*self.after.name]);
        BASE64_URL_SAFE_NO_PAD.encode(token.to_string())
    }

    fn decode(token: &str) -> Result<Self, Failure> {
        let invalid = || Failure::bad_request(format!("continue key is not valid: {token:?}"));
        let json = BASE64_URL_SAFE_NO_PAD.decode(token).map_err(|_| invalid())?;
        let (revision, namespace, name): (Revision, String, String) =
            serde_json::from_slice(&json).map_err(|_| invalid())?;
        Ok(Self { revision, after: Key::new(&namespace, &name) })
    }
}

/// Parses a `resourceVersion`; empty and `0` mean "any".
pub(crate) fn parse_revision(text: &str) -> Result<Option<Revision>, Failure> {
    match text {
        "" | "0" => Ok(None),
        text => match text.parse::<u64>() {
            Ok(revision) => Ok(Some(Revision::try_from(revision).unwrap_or(Revision::MAX))),
            Err(_) => Err(Failure::bad_request(format!("invalid resource version {text:?}: not a number"))),
        },
    }
}

impl Inner {
    /// Waits until a read shows what it has to show: the newest state, or, if a revision is asked for, at least that.
    /// Refuses a revision that cannot be served: one that nobody has handed out, or an exact one that is past.
    pub(crate) async fn check_read(&self, params: &Params) -> Result<(), Failure> {
        let Some(asked) = parse_revision(&params.resource_version)? else {
            // `0` asks for whatever is at hand.
            if params.resource_version.is_empty() {
                self.store.fresh().await;
            }
            return Ok(());
        };
        let reached = self.store.reached(asked).await;
        let current = self.store.revision();
        if !reached {
            return Err(Failure::too_large_revision(asked, current));
        }
        if params.resource_version_match == "Exact" && asked != current {
            return Err(Failure::gone("The resourceVersion for the provided list is too old."));
        }
        Ok(())
    }

    /// The objects a collection request selects, one page of them.
    ///
    /// Every page reports the revision of the first: a watch from there repeats what later pages may already show, and
    /// loses nothing.
    pub(crate) async fn page(
        &self,
        target: &Target<'_>,
        params: &Params,
        selector: &Selector,
    ) -> Result<(Listing, Value), Failure> {
        let token = match params.continue_token.as_str() {
            "" => None,
            token => Some(Continue::decode(token)?),
        };
        if let Some(token) = &token {
            // Another process may have shown the first page.
            self.store.reached(token.revision).await;
            if token.revision < self.store.compacted() {
                return Err(Failure::gone(
                    "The provided continue parameter is too old to display a consistent list result.",
                ));
            }
        } else {
            self.check_read(params).await?;
        }
        let listing = self.store.list(
            target.kind.resource,
            target.namespace,
            token.as_ref().map(|token| &token.after),
            params.limit.unwrap_or(usize::MAX),
            |object| selector.matches(object),
        );
        let revision = token.map_or(listing.revision, |token| token.revision);
        let mut metadata = json!({"resourceVersion": revision.to_string()});
        if let Some(last) = listing.items.last().filter(|_| listing.remaining > 0) {
            metadata["continue"] = json!(Continue { revision, after: last.key.clone() }.encode());
            if selector.is_empty() {
                metadata["remainingItemCount"] = json!(listing.remaining);
            }
        }
        Ok((listing, metadata))
    }

    /// The answer to a list request.
    pub(crate) async fn list(&self, view: &View<'_>, params: &Params) -> Result<Vec<u8>, Failure> {
        let selector = Selector::of(&view.target, params)?;
        let (listing, metadata) = self.page(&view.target, params, &selector).await?;
        Ok(view.render_list(&listing.items, &metadata))
    }
}
