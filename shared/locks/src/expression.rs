//! The expression of one conditional write to a lease's item.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use nextbasket_dynamodb::item::text;

use crate::Guard;
use crate::record::{MARK, PREVIOUS};

/// The placeholder of one of the lease's attributes.
pub(crate) fn placeholder(attribute: &str) -> String {
    format!("#lease_{attribute}")
}

/// The placeholder of a value that the lease's attributes are compared to.
pub(crate) fn value_placeholder(attribute: &str) -> String {
    format!(":lease_{attribute}")
}

/// The placeholder of the value that one of the lease's attributes is set to.
pub(crate) fn new_value(attribute: &str) -> String {
    format!(":lease_new_{attribute}")
}

/// An update expression, its condition, names and values.
#[derive(Default)]
pub(crate) struct Expression {
    set: Vec<String>,
    remove: Vec<String>,
    add: Vec<String>,
    condition: Vec<String>,
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

impl Expression {
    /// Names an attribute of the lease's.
    pub(crate) fn name(&mut self, attribute: &str) -> String {
        let name = placeholder(attribute);
        self.names.insert(name.clone(), attribute.to_owned());
        name
    }

    /// A value under a placeholder of its own.
    pub(crate) fn value(&mut self, label: &str, value: AttributeValue) -> String {
        let name = value_placeholder(label);
        self.values.insert(name.clone(), value);
        name
    }

    /// Sets an attribute of the lease's.
    pub(crate) fn set(&mut self, attribute: &str, value: AttributeValue) {
        let clause = format!("{} = {}", self.name(attribute), new_value(attribute));
        self.values.insert(new_value(attribute), value);
        self.set.push(clause);
    }

    /// Sets an attribute of the lease's to an expression.
    pub(crate) fn set_to(&mut self, attribute: &str, expression: &str) {
        let clause = format!("{} = {expression}", self.name(attribute));
        self.set.push(clause);
    }

    /// Leaves a mark, and keeps the one before.
    pub(crate) fn mark(&mut self, mark: &str) {
        self.set(MARK, text(mark));
        // Before the first there was none; its own will do.
        let before = format!("if_not_exists({}, {})", placeholder(MARK), new_value(MARK));
        self.set_to(PREVIOUS, &before);
    }

    /// Removes an attribute of the lease's.
    pub(crate) fn remove(&mut self, attribute: &str) {
        let name = self.name(attribute);
        self.remove.push(name);
    }

    /// Sets an attribute of the item's owner.
    pub(crate) fn set_other(&mut self, attribute: &str, value: AttributeValue) {
        let (name, value) = self.changes(attribute, value);
        self.set.push(format!("{name} = {value}"));
    }

    /// Removes an attribute of the item's owner.
    pub(crate) fn remove_other(&mut self, attribute: &str) {
        let name = self.also_name(attribute);
        self.remove.push(name);
    }

    /// Adds to an attribute of the item's owner.
    pub(crate) fn add_other(&mut self, attribute: &str, value: AttributeValue) {
        let (name, value) = self.changes(attribute, value);
        self.add.push(format!("{name} {value}"));
    }

    /// Sets an attribute of the item to the value that another one had before.
    pub(crate) fn copy_other(&mut self, attribute: &str, from: &str) {
        let (to, none) = self.changes(attribute, text(""));
        let from = self.also_name(from);
        self.set.push(format!("{to} = if_not_exists({from}, {none})"));
    }

    /// Requires that the item does not have this attribute.
    pub(crate) fn require_absent(&mut self, attribute: &str) {
        let name = self.also_name(attribute);
        self.condition.push(format!("attribute_not_exists({name})"));
    }

    /// Requires that the attribute is not greater than this.
    pub(crate) fn require_at_most(&mut self, attribute: &str, value: AttributeValue) {
        let (name, value) = self.changes(attribute, value);
        self.condition.push(format!("(attribute_not_exists({name}) OR {name} <= {value})"));
    }

    /// One more condition that must hold.
    pub(crate) fn require(&mut self, condition: String) {
        self.condition.push(condition);
    }

    pub(crate) fn require_guard(&mut self, guard: Guard) {
        self.condition.push(guard.condition);
        self.names.extend(guard.names);
        self.values.extend(guard.values);
    }

    fn also_name(&mut self, attribute: &str) -> String {
        let name = format!("#also_{}", self.names.len());
        self.names.insert(name.clone(), attribute.to_owned());
        name
    }

    fn changes(&mut self, attribute: &str, value: AttributeValue) -> (String, String) {
        let name = self.also_name(attribute);
        let placeholder = name.replace('#', ":");
        self.values.insert(placeholder.clone(), value);
        (name, placeholder)
    }

    /// Puts it all on a request.
    pub(crate) fn put_on(self, request: UpdateItemFluentBuilder) -> UpdateItemFluentBuilder {
        let clauses = [("SET", self.set), ("REMOVE", self.remove), ("ADD", self.add)];
        let update = clauses
            .into_iter()
            .filter(|(_, clauses)| !clauses.is_empty())
            .map(|(verb, clauses)| format!("{verb} {}", clauses.join(", ")))
            .collect::<Vec<_>>()
            .join(" ");
        request
            .update_expression(update)
            .condition_expression(self.condition.join(" AND "))
            .set_expression_attribute_names(Some(self.names))
            .set_expression_attribute_values(Some(self.values))
    }
}
