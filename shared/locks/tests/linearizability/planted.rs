//! Mistakes that the checker must find.

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use nextbasket_dynamodb::item::{number, text};

use crate::client::{Agent, Holding};
use crate::common::{LENGTH, TABLE, key_of};
use crate::history::holder;
use crate::model::millis;

/// Raises the fence and takes the lease, whoever has it.
pub async fn acquire_without_condition(agent: &Agent, op: usize) -> Option<Holding> {
    let now = agent.clock.now().as_millis();
    let (expires_at, owner) = (now + millis(LENGTH), format!("{}/planted", holder(op)));
    let updated = update(agent)
        .update_expression(
            "SET holder = :holder, #owner = :owner, fence = if_not_exists(fence, :none) + :one, \
             expiresAt = :expiresAt, lease = :lease, acquiredAt = :now, released = :false, mark = :mark, previous = :mark",
        )
        .expression_attribute_names("#owner", "owner")
        .expression_attribute_values(":holder", text(holder(op)))
        .expression_attribute_values(":owner", text(&owner))
        .expression_attribute_values(":none", number(0))
        .expression_attribute_values(":one", number(1))
        .expression_attribute_values(":expiresAt", number(expires_at))
        .expression_attribute_values(":lease", number(millis(LENGTH)))
        .expression_attribute_values(":now", number(now))
        .expression_attribute_values(":false", AttributeValue::Bool(false))
        .expression_attribute_values(":mark", text(&owner))
        .return_values(ReturnValue::AllNew)
        .send()
        .await
        .ok()?;
    let fence = updated.attributes?["fence"].as_n().unwrap().parse().unwrap();
    let lease = agent.leases.resume(&agent.key, owner, fence, LENGTH);
    Some(Holding { holder: op, lease, expires_at })
}

/// Renews the lease of whoever has it.
pub async fn renew_without_fence(agent: &Agent, holding: &Holding) -> Option<i64> {
    let expires_at = holding.expires_at.max(agent.clock.now().as_millis() + millis(LENGTH));
    let updated = update(agent)
        .update_expression("SET expiresAt = :expiresAt")
        .condition_expression("released = :false")
        .expression_attribute_values(":expiresAt", number(expires_at))
        .expression_attribute_values(":false", AttributeValue::Bool(false))
        .send()
        .await;
    updated.ok().map(|_| expires_at)
}

/// Renews our lease, and undoes a later renewal if the request arrives after it.
pub async fn renew_whenever(agent: &Agent, holding: &Holding) -> Option<i64> {
    let expires_at = holding.expires_at.max(agent.clock.now().as_millis() + millis(LENGTH));
    let guard = holding.lease.guard();
    let updated = update(agent)
        .update_expression("SET expiresAt = :expiresAt ADD renewals :one")
        .condition_expression(guard.condition)
        .set_expression_attribute_names(Some(guard.names))
        .set_expression_attribute_values(Some(guard.values))
        .expression_attribute_values(":expiresAt", number(expires_at))
        .expression_attribute_values(":one", number(1))
        .send()
        .await;
    updated.ok().map(|_| expires_at)
}

/// Deletes our lease's item, and its fence with it.
pub async fn release_by_deleting(agent: &Agent, holding: &Holding) -> bool {
    let guard = holding.lease.guard();
    let deleted = agent
        .dynamodb
        .delete_item()
        .table_name(TABLE)
        .set_key(Some(key_of(&agent.key)))
        .condition_expression(guard.condition)
        .set_expression_attribute_names(Some(guard.names))
        .set_expression_attribute_values(Some(guard.values))
        .send()
        .await;
    deleted.is_ok()
}

fn update(agent: &Agent) -> UpdateItemFluentBuilder {
    agent.dynamodb.update_item().table_name(TABLE).set_key(Some(key_of(&agent.key)))
}
