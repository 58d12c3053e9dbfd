//! Leadership by a Lease: of several processes one writes.
//!
//! Whether a holder is still there is judged by how long its Lease has not changed, on the own clock: clocks of other
//! machines are never compared with it. A holder that cannot renew in time steps back before others may take over.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Who stands for election, and where.
#[derive(Clone, Debug)]
pub struct Election {
    /// Namespace of the Lease.
    pub namespace: String,
    /// Name of the Lease.
    pub name: String,
    /// Name of this process, which no other has.
    pub identity: String,
}

/// How long a holder that says nothing is waited for.
const DURATION: Duration = Duration::from_secs(15);
/// Until when a holder has to have renewed, or steps back.
const RENEW_WITHIN: Duration = Duration::from_secs(10);
/// Between two tries, also to renew.
const RETRY: Duration = Duration::from_secs(2);

/// Stands for election until `shutdown`, then gives the Lease back. `leading` tells how it goes.
pub(crate) async fn stand(
    client: Client,
    election: Election,
    leading: watch::Sender<bool>,
    shutdown: CancellationToken,
) {
    let mut candidate = Candidate {
        leases: Api::namespaced(client, &election.namespace),
        election,
        seen: None,
        renewed: Instant::now(),
    };
    let mut failing = false;
    loop {
        let holds = match tokio::time::timeout(RETRY, candidate.try_to_hold()).await {
            Ok(Ok(holds)) => {
                failing = false;
                holds
            }
            failed => {
                let reason = match failed {
                    Ok(Err(error)) => error.to_string(),
                    _ => "no answer in time".to_owned(),
                };
                if !std::mem::replace(&mut failing, true) {
                    let lease = &candidate.election.name;
                    tracing::warn!(lease, reason, "The Lease cannot be read or written: without it nobody reconciles");
                }
                // What was renewed a moment ago holds on a little.
                *leading.borrow() && candidate.renewed.elapsed() < RENEW_WITHIN
            }
        };
        if leading.send_if_modified(|now| std::mem::replace(now, holds) != holds) {
            let Election { name, identity, .. } = &candidate.election;
            tracing::info!(lease = name, identity, leading = holds, "Leadership changed.");
        }
        if shutdown.run_until_cancelled(tokio::time::sleep(RETRY)).await.is_none() {
            break;
        }
    }
    let held = *leading.borrow();
    leading.send_replace(false);
    if held && let Err(error) = candidate.give_back().await {
        tracing::debug!(%error, "The Lease could not be given back");
    }
}

struct Candidate {
    leases: Api<Lease>,
    election: Election,
    /// The Lease as it was last seen, and when it was first seen so.
    seen: Option<(String, Instant)>,
    renewed: Instant,
}

impl Candidate {
    /// Whether we hold the Lease now.
    async fn try_to_hold(&mut self) -> Result<bool, kube::Error> {
        let asked = Instant::now();
        let create = PostParams::default();
        let Some(lease) = self.leases.get_opt(&self.election.name).await? else {
            let metadata = ObjectMeta { name: Some(self.election.name.clone()), ..ObjectMeta::default() };
            let lease = Lease { metadata, spec: Some(self.spec(None)) };
            return self.outcome(asked, self.leases.create(&create, &lease).await);
        };
        let version = lease.metadata.resource_version.clone().unwrap_or_default();
        let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.clone()).unwrap_or_default();
        if holder != self.election.identity && !holder.is_empty() {
            let since = match &self.seen {
                Some((seen, since)) if *seen == version => *since,
                _ => {
                    self.seen = Some((version, asked));
                    asked
                }
            };
            if since.elapsed() < DURATION {
                return Ok(false);
            }
        }
        // With its resourceVersion: of several that take it, one gets it.
        let spec = Some(self.spec(lease.spec.as_ref()));
        self.outcome(asked, self.leases.replace(&self.election.name, &create, &Lease { spec, ..lease }).await)
    }

    fn outcome(&mut self, asked: Instant, written: Result<Lease, kube::Error>) -> Result<bool, kube::Error> {
        match written {
            Ok(_) => {
                self.renewed = asked;
                Ok(true)
            }
            // Somebody was faster.
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn spec(&self, before: Option<&LeaseSpec>) -> LeaseSpec {
        let now = MicroTime(Timestamp::now());
        let ours = before.filter(|spec| spec.holder_identity.as_deref() == Some(&self.election.identity));
        let transitions = before.map_or(0, |spec| spec.lease_transitions.unwrap_or(0) + i32::from(ours.is_none()));
        LeaseSpec {
            holder_identity: Some(self.election.identity.clone()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            acquire_time: Some(ours.and_then(|spec| spec.acquire_time.clone()).unwrap_or_else(|| now.clone())),
            renew_time: Some(now),
            lease_transitions: Some(transitions),
            ..LeaseSpec::default()
        }
    }

    /// So that the next one need not wait.
    async fn give_back(&self) -> Result<(), kube::Error> {
        let mut lease = self.leases.get(&self.election.name).await?;
        if let Some(spec) = &mut lease.spec
            && spec.holder_identity.as_deref() == Some(&self.election.identity)
        {
            spec.holder_identity = Some(String::new());
            spec.lease_duration_seconds = Some(1);
            self.leases.replace(&self.election.name, &PostParams::default(), &lease).await?;
        }
        Ok(())
    }
}
