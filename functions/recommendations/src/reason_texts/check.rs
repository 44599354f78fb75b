//! Whether the texts of a language are whole.

use std::collections::{BTreeMap, BTreeSet};

use fluent_syntax::ast::{CallArguments, Entry, Expression, InlineExpression, Pattern, PatternElement};
use nextbasket_domain::{ProductId, Timestamp};
use nextbasket_recommender::Window;

use super::LanguageTexts;
use crate::reason::{CountedShoppers, Evidence, Reason, SureCount};

const COUNTED: &[&str] = &["count", "sure", "of", "product"];

/// The messages that a language has to have, and the variables that each gets.
pub(super) const MESSAGES: [(&str, &[&str]); 11] = [
    ("bought-again", &["times", "purchases"]),
    ("bought-next", COUNTED),
    ("bought-next-also", COUNTED),
    ("bought-together", COUNTED),
    ("bought-together-also", COUNTED),
    ("bought-by-same-shoppers", COUNTED),
    ("popular-lately", &["count", "purchases", "period", "recent", "year", "month", "day"]),
    ("popular-ever", &["count", "purchases", "of"]),
    ("popular-with-shoppers", &["count", "sure", "of"]),
    ("pinned", &[]),
    ("catalogue", &[]),
];

impl LanguageTexts {
    /// Whether every message exists, refers to nothing that does not exist, and gives a text.
    ///
    /// # Errors
    /// What is wrong and what to do, in words.
    pub(super) fn check(&self) -> Result<(), String> {
        let mut patterns = BTreeMap::new();
        for entry in self.resource.entries() {
            match entry {
                Entry::Message(message) => {
                    patterns.extend(message.value.as_ref().map(|value| (message.id.name.to_owned(), value)));
                }
                Entry::Term(term) => {
                    patterns.insert(format!("-{}", term.id.name), &term.value);
                }
                _ => {}
            }
        }
        for (message, given) in MESSAGES {
            let mut walk =
                Walk { message, patterns: &patterns, variables: BTreeSet::new(), within: Vec::new() };
            let missing = || {
                format!("message {message:?} is missing. Copy it from the built-in en.ftl and translate it.")
            };
            walk.pattern(patterns.get(message).ok_or_else(missing)?)?;
            if let Some(unknown) = walk.variables.iter().find(|variable| !given.contains(variable)) {
                let given: Vec<String> = given.iter().map(|variable| format!("${variable}")).collect();
                let given = if given.is_empty() { "no variable".to_owned() } else { given.join(", ") };
                return Err(format!(
                    "message {message:?} uses the variable ${unknown}, which it does not get. It may use {given}."
                ));
            }
        }
        match samples().iter().find(|reason| self.phrase(reason).trim().is_empty()) {
            Some(silent) => Err(format!(
                "the message of a reason of the kind {:?} gives an empty text. Write one.",
                silent.kind
            )),
            None => Ok(()),
        }
    }
}

/// Collects the variables of a message and of those that it refers to.
struct Walk<'a> {
    /// The message that is looked through.
    message: &'a str,
    /// All messages, and the terms with their `-`.
    patterns: &'a BTreeMap<String, &'a Pattern<&'a str>>,
    variables: BTreeSet<&'a str>,
    /// What led here, from the message on.
    within: Vec<String>,
}

impl<'a> Walk<'a> {
    fn pattern(&mut self, pattern: &'a Pattern<&'a str>) -> Result<(), String> {
        pattern.elements.iter().try_for_each(|element| match element {
            PatternElement::TextElement { .. } => Ok(()),
            PatternElement::Placeable { expression } => self.expression(expression),
        })
    }

    fn expression(&mut self, expression: &'a Expression<&'a str>) -> Result<(), String> {
        match expression {
            Expression::Inline(inline) => self.inline(inline),
            Expression::Select { selector, variants } => {
                self.inline(selector)?;
                variants.iter().try_for_each(|variant| self.pattern(&variant.value))
            }
        }
    }

    fn inline(&mut self, inline: &'a InlineExpression<&'a str>) -> Result<(), String> {
        match inline {
            InlineExpression::StringLiteral { .. } | InlineExpression::NumberLiteral { .. } => Ok(()),
            InlineExpression::VariableReference { id } => {
                self.variables.insert(id.name);
                Ok(())
            }
            InlineExpression::MessageReference { id, attribute: None } => self.other(id.name.to_owned()),
            InlineExpression::TermReference { id, attribute: None, arguments } => {
                self.arguments(arguments.as_ref())?;
                // The variables of a term are its arguments alone.
                let own = std::mem::take(&mut self.variables);
                let followed = self.other(format!("-{}", id.name));
                self.variables = own;
                followed
            }
            InlineExpression::Placeable { expression } => self.expression(expression),
            InlineExpression::FunctionReference { id, .. } => {
                Err(self.unsupported(&format!("the function {}", id.name)))
            }
            InlineExpression::MessageReference { id, .. } | InlineExpression::TermReference { id, .. } => {
                Err(self.unsupported(&format!("an attribute of {:?}", id.name)))
            }
        }
    }

    fn arguments(&mut self, arguments: Option<&'a CallArguments<&'a str>>) -> Result<(), String> {
        let Some(arguments) = arguments else { return Ok(()) };
        let named = arguments.named.iter().map(|argument| &argument.value);
        arguments.positional.iter().chain(named).try_for_each(|value| self.inline(value))
    }

    fn other(&mut self, name: String) -> Result<(), String> {
        let message = self.message;
        if self.within.contains(&name) {
            return Err(format!("message {message:?} refers to itself by {name:?}. Remove the reference."));
        }
        let Some(pattern) = self.patterns.get(&name) else {
            return Err(format!("message {message:?} refers to {name:?}, which does not exist. Add it."));
        };
        self.within.push(name);
        self.pattern(pattern)?;
        self.within.pop();
        Ok(())
    }

    fn unsupported(&self, what: &str) -> String {
        format!("message {:?} uses {what}, which texts of reasons cannot. Write it without.", self.message)
    }
}

/// A reason of each form.
fn samples() -> Vec<Reason> {
    let (all, others) = (CountedShoppers::All, CountedShoppers::Others);
    let now = Timestamp::EPOCH;
    let because = |n: usize| -> Vec<Evidence> {
        let id = ProductId::parse("sample").ok();
        let evidence = |id| Evidence::new(id, "Sample".to_owned(), SureCount::exactly(3));
        id.into_iter().cycle().take(n).map(evidence).collect()
    };
    let mut samples = vec![Reason::pinned(), Reason::catalogue(), Reason::bought_again(2, 3, now)];
    for of in [all, others] {
        samples.extend(Reason::bought_next(because(2), of));
        samples.extend(Reason::bought_together(because(2), of));
        samples.extend(Reason::popular_ever(3, 9, of));
        samples.extend(Reason::popular_with_shoppers(SureCount::exactly(3), of));
    }
    samples.extend(because(1).pop().and_then(Reason::bought_by_same_shoppers));
    for window in [Window::Day, Window::Week, Window::Month] {
        samples.extend(Reason::popular_lately(3, 9, window, now, now));
    }
    samples
}
