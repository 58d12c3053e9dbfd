//! How a delivery of a lane waits before another attempt.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::oneshot;

use super::{Downstream, Interrupted, Lane, Orders, Patience, is_roomy};

/// A worker's place among those in flight, while it delivers one event.
pub(super) struct Turn<'a, D: Downstream> {
    pub(super) lane: &'a Arc<Lane<D>>,
    pub(super) orders: &'a Orders<D>,
}

#[async_trait]
impl<D: Downstream> Patience for Turn<'_, D> {
    async fn wait(&self, wait: Duration) -> Result<(), Interrupted> {
        let Turn { lane, orders } = self;
        {
            let mut state = lane.state.lock();
            state.working -= 1;
            state.waiting += 1;
            if is_roomy(&state.queue) {
                lane.room.notify_waiters();
            }
            lane.staff(state);
        }
        tokio::select! {
            biased;
            () = orders.outdated.cancelled() => {
                self.return_at_once();
                return Err(Interrupted);
            }
            () = tokio::time::sleep(wait) => {}
        }
        let mut place = {
            let mut state = lane.state.lock();
            if state.working < lane.most(&state) {
                state.waiting -= 1;
                state.working += 1;
                return Ok(());
            }
            let (give, place) = oneshot::channel();
            state.returning.push_back(give);
            place
        };
        tokio::select! {
            biased;
            () = orders.outdated.cancelled() => {
                let mut state = lane.state.lock();
                place.close();
                if place.try_recv().is_err() {
                    state.waiting -= 1;
                    state.working += 1;
                }
                Err(Interrupted)
            }
            _ = &mut place => Ok(()),
        }
    }
}

impl<D: Downstream> Turn<'_, D> {
    /// Only to give the event back, so it does not matter whether there is a place.
    fn return_at_once(&self) {
        let mut state = self.lane.state.lock();
        state.waiting -= 1;
        state.working += 1;
    }
}
