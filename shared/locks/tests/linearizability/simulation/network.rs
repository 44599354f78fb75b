//! What becomes of requests and answers.

use tokio::sync::oneshot;

use super::Run;
use crate::gate::{Answer, Arrival, Sent};
use crate::history::{Call, Op, Outcome};

/// A request that a client waits for.
pub(super) struct Flight {
    client: usize,
    op: usize,
    request: Sent,
    answer: oneshot::Sender<Answer>,
    applied: Option<Answer>,
}

/// A request that was held back until nobody waited for it any more.
pub(super) struct Stray {
    /// The call that it would explain.
    pub(super) op: usize,
    request: Sent,
}

impl Run<'_> {
    /// A request has arrived and waits to be applied.
    pub(super) fn depart(&mut self, client: usize, arrival: Arrival) {
        let op = self.clients[client].busy.as_ref().unwrap().op;
        let Arrival { request, answer, .. } = arrival;
        self.flights.push(Flight { client, op, request, answer, applied: None });
    }

    /// A request or its answer gets on.
    pub(super) async fn fly(&mut self, place: usize) {
        let mut flight = self.flights.remove(place);
        let (client, op, draw) = (flight.client, format!("op{}", flight.op), self.random.below(100));
        let seen = match (flight.applied.take(), draw) {
            (None, 0..78) => {
                flight.applied = Some(self.lab.gate.apply(flight.request.clone()).await);
                self.flights.push(flight);
                self.note("was applied", op);
                return;
            }
            (None, 78..84) => {
                self.note("lost its request", op);
                None
            }
            (None, 84..94) => {
                self.note("has its request held back", op);
                self.go_astray(flight.op, flight.request);
                None
            }
            (None, _) => {
                self.note("found the server at fault", op);
                Some(Answer::at_fault())
            }
            (Some(answer), 0..80) => Some(answer),
            (Some(answer), 80..83) => {
                self.doubt(flight.op);
                self.note("has its answer broken off", op);
                Some(answer.broken())
            }
            (Some(_), _) => {
                self.doubt(flight.op);
                self.note("lost its answer", op);
                None
            }
        };
        match seen {
            Some(answer) => drop(flight.answer.send(answer)),
            None => drop(flight.answer),
        }
        self.settle(client).await;
    }

    /// What was applied is not heard of: the call may come to an end that does not tell of it.
    fn doubt(&mut self, op: usize) {
        let call = self.history.ops[op].clone();
        if let Call::Acquire { .. } = call.call {
            // It may have acquired the lease, which others have taken over and given up when it is asked for again.
            let applied = Op { returned: Some(self.step), outcome: Outcome::Unknown, ..call };
            self.history.ops.push(applied);
        } else if let Some(busy) = self.clients[call.client.0].busy.as_mut() {
            busy.unsure = true;
        }
    }

    /// Nobody waits for the call's request any more; it may arrive all the same.
    pub(super) fn abandon(&mut self, op: usize) {
        if let Some(place) = self.flights.iter().position(|flight| flight.op == op) {
            let flight = self.flights.remove(place);
            if flight.applied.is_none() && self.random.below(3) > 0 {
                self.go_astray(op, flight.request);
            }
        }
    }

    fn go_astray(&mut self, op: usize, request: Sent) {
        let mut explains = op;
        if let Call::Acquire { .. } = self.history.ops[op].call {
            // It may acquire the lease for nobody, beside what the call itself does.
            explains = self.history.ops.len();
            let held_back = self.history.ops[op].clone();
            self.history.ops.push(Op { invoked: self.step, outcome: Outcome::Unknown, ..held_back });
        } else if let Some(busy) = self.clients[self.history.ops[op].client.0].busy.as_mut() {
            busy.unsure = true;
        }
        self.strays.push(Stray { op: explains, request });
    }

    /// A request arrives, late, or never.
    pub(super) async fn land(&mut self, place: usize) {
        let stray = self.strays.remove(place);
        if self.random.below(4) > 0 {
            let _nobody_waits = self.lab.gate.apply(stray.request).await;
            self.note("was applied late", format!("op{}", stray.op));
        }
        self.close(stray.op);
    }
}
