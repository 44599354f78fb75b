//! Events of the purchases' stream, passed to the consumer's own handler.

use std::collections::HashSet;
use std::sync::LazyLock;

use aws_lambda_events::dynamodb::Event;
use lambda_runtime::{Context, LambdaEvent};
use nextbasket_domain::history::fold;
use nextbasket_domain::{Clock, UserId};
use nextbasket_tables::purchases;
use nextbasket_telemetry::Metrics;

use crate::world::{RUNTIME, WORLD};

static STATE: LazyLock<purchase_history::State> =
    LazyLock::new(|| purchase_history::State::new(Metrics::off(), &WORLD.tables, Clock::system()).unwrap());

/// An event as Lambda passes it to the function: input that is not an event never reaches the handler.
pub fn check(data: &[u8]) {
    let Ok(event) = serde_json::from_slice::<Event>(data) else { return };
    let users: HashSet<UserId> =
        event.records.iter().filter_map(|record| purchases::user_of_keys(&record.change.keys)).collect();
    for _ in 0..2 {
        let again = LambdaEvent::new(event.clone(), Context::default());
        let answer = RUNTIME.block_on(Box::pin(purchase_history::handle(&STATE, again)));
        // DynamoDB is well, and a record that names no user is skipped: to try it again would not mend it.
        assert_eq!(answer.expect("the consumer answers").batch_item_failures, []);
        users.iter().for_each(folded);
    }
}

/// Checks that the user's history is the fold of their purchases.
fn folded(user: &UserId) {
    let (history, purchases) = (WORLD.tables.history().unwrap(), WORLD.tables.purchases().unwrap());
    let (stored, newest) =
        RUNTIME.block_on(async { tokio::join!(history.baskets(user), purchases.newest(user)) });
    assert_eq!(stored.expect("a history"), fold(newest.expect("purchases").items), "{user}");
}
