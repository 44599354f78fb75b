//! The texts of reasons, by language.
//!
//! They are Fluent files (<https://projectfluent.org>), one a language: a message for each kind of reason, with the
//! plural forms of the language. English and German are built in (`texts/`). A shop replaces them, or adds languages,
//! with a folder of such files; `docs/REASONS.md` describes them. A folder is checked whole before the first answer,
//! so that no request meets a message that is missing or uses a variable that it does not get.

mod check;

use std::path::Path;
use std::sync::Arc;
use std::{env, fmt, fs, iter};

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource};
use nextbasket_recommender::Window;
use thiserror::Error;

use crate::accept_language::negotiate;
use crate::reason::{CountedShoppers, Evidence, Reason, ReasonFact, SureCount};

/// The variable with the folder of the shop's own texts.
const VARIABLE: &str = "REASON_TEXTS";
const EXTENSION: &str = "ftl";

const ENGLISH: (&str, &str) = ("en", include_str!("../texts/en.ftl"));
const GERMAN: (&str, &str) = ("de", include_str!("../texts/de.ftl"));

/// Why texts cannot be used.
#[derive(Debug, Error)]
pub enum ReasonTextsError {
    #[error(
        "texts of reasons: folder {folder} cannot be read: {error}. Name a folder with files such as de.ftl."
    )]
    Folder { folder: String, error: std::io::Error },
    #[error(
        "texts of reasons: folder {0} has no file named after a language, such as de.ftl. \
         Copy and edit texts/en.ftl of the recommendations function."
    )]
    NoFiles(String),
    #[error("texts of reasons: {file}: {problem}")]
    File { file: String, problem: String },
}

/// The texts of all languages.
pub struct ReasonTexts {
    /// Answers a request that no language suits.
    default: LanguageTexts,
    others: Vec<LanguageTexts>,
    /// The tags of the default and the others, in lower case.
    tags: Vec<String>,
}

impl fmt::Debug for ReasonTexts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ReasonTexts").field(&self.tags).finish()
    }
}

impl ReasonTexts {
    /// English and German.
    ///
    /// # Errors
    /// None: a test reads them.
    pub fn built_in() -> Result<Self, ReasonTextsError> {
        let read = |(tag, source): (&str, &str)| LanguageTexts::parse(tag, tag, source.to_owned());
        Ok(Self::of(read(ENGLISH)?, vec![read(GERMAN)?]))
    }

    /// From the folder that `REASON_TEXTS` names, or the built-in ones if it is missing or empty.
    ///
    /// # Errors
    /// As [`ReasonTexts::with_folder`].
    pub fn from_env() -> Result<Self, ReasonTextsError> {
        match env::var_os(VARIABLE).filter(|folder| !folder.is_empty()) {
            Some(folder) => Self::with_folder(Path::new(&folder)),
            None => Self::built_in(),
        }
    }

    /// The built-in texts, with those of the folder in the place of the ones in the same language and beside the others.
    /// Files with other extensions than `ftl` are skipped.
    ///
    /// # Errors
    /// The folder cannot be read or has no texts; or a file is not named after a language, is not Fluent, or lacks a
    /// message or uses one that does not exist.
    pub fn with_folder(folder: &Path) -> Result<Self, ReasonTextsError> {
        let unread = |error| ReasonTextsError::Folder { folder: folder.display().to_string(), error };
        let mut files = Vec::new();
        for entry in fs::read_dir(folder).map_err(unread)? {
            let path = entry.map_err(unread)?.path();
            if path.extension().is_some_and(|extension| extension == EXTENSION) {
                files.push(path);
            }
        }
        if files.is_empty() {
            return Err(ReasonTextsError::NoFiles(folder.display().to_string()));
        }
        files.sort();
        let Self { mut default, mut others, .. } = Self::built_in()?;
        for path in files {
            let file = path.display().to_string();
            let wrong = |problem: String| ReasonTextsError::File { file: file.clone(), problem };
            let tag = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            let source = fs::read_to_string(&path).map_err(|error| {
                wrong(format!(
                    "cannot be read as UTF-8: {error}. Save it as UTF-8, readable by the function."
                ))
            })?;
            let texts = LanguageTexts::parse(tag, &file, source)?;
            texts.check().map_err(wrong)?;
            let mut known = iter::once(&mut default).chain(&mut others);
            match known.find(|known| known.tag == texts.tag) {
                Some(known) => *known = texts,
                None => others.push(texts),
            }
        }
        Ok(Self::of(default, others))
    }

    fn of(default: LanguageTexts, others: Vec<LanguageTexts>) -> Self {
        let languages = iter::once(&default).chain(&others);
        let tags = languages.map(|texts| texts.tag.to_ascii_lowercase()).collect();
        Self { default, others, tags }
    }

    /// The texts in the language that the value of `Accept-Language` asks for, or else in English.
    pub(crate) fn preferred(&self, accepted: &str) -> &LanguageTexts {
        let asked = negotiate(accepted, &self.tags).and_then(|at| at.checked_sub(1));
        asked.and_then(|at| self.others.get(at)).unwrap_or(&self.default)
    }
}

/// The texts of one language.
pub(crate) struct LanguageTexts {
    /// The language, such as `de` or `pt-BR`.
    pub tag: String,
    texts: FluentBundle<Arc<FluentResource>>,
    resource: Arc<FluentResource>,
}

impl LanguageTexts {
    fn parse(tag: &str, file: &str, source: String) -> Result<Self, ReasonTextsError> {
        let wrong = |problem: String| ReasonTextsError::File { file: file.to_owned(), problem };
        let language = tag.parse().map_err(|_| {
            wrong(format!("{tag:?} is not a language. Name the file after one, such as de.ftl or pt-BR.ftl."))
        })?;
        let resource = FluentResource::try_new(source).map_err(|(resource, errors)| {
            let error = errors.first();
            let before = error.and_then(|error| resource.source().get(..error.pos.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            let problem = error.map(ToString::to_string).unwrap_or_default();
            wrong(format!("line {line} is not Fluent: {problem}. Correct the line."))
        })?;
        let resource = Arc::new(resource);
        let mut texts = FluentBundle::new_concurrent(vec![language]);
        // Marks around names, for mixed directions of writing, would be in the way of those who compare texts.
        texts.set_use_isolating(false);
        texts.add_resource(resource.clone()).map_err(|errors| {
            let problem = errors.first().map(ToString::to_string).unwrap_or_default();
            wrong(format!("{problem}. Keep one of the two."))
        })?;
        // As the standard writes it: pt-BR for a file pt_br.ftl.
        let tag = texts.locales.first().map(ToString::to_string).unwrap_or_default();
        Ok(Self { tag, texts, resource })
    }

    /// The reason in words.
    pub(crate) fn phrase(&self, reason: &Reason) -> String {
        let of = ("of", Variable::Name(of_whom(reason.of)));
        match &reason.fact {
            ReasonFact::BoughtAgain { times, purchases, .. } => {
                self.text("bought-again", [("times", (*times).into()), ("purchases", (*purchases).into())])
            }
            ReasonFact::BoughtNext { because, .. } => self.each("bought-next", because, reason.of),
            ReasonFact::BoughtTogether { because, .. } => self.each("bought-together", because, reason.of),
            ReasonFact::BoughtBySameShoppers { because, .. } => {
                self.each("bought-by-same-shoppers", because, reason.of)
            }
            ReasonFact::PopularLately { baskets, purchases, until, window, recent, .. } => {
                let until = until.to_string();
                let part = |range| Variable::Name(until.get(range).unwrap_or_default());
                let period = match window {
                    Window::Day => "day",
                    Window::Week => "week",
                    _ => "month",
                };
                let variables = [
                    ("count", (*baskets).into()),
                    ("purchases", (*purchases).into()),
                    ("period", Variable::Name(period)),
                    ("recent", Variable::Name(if *recent { "yes" } else { "no" })),
                    ("year", part(0..4)),
                    ("month", part(5..7)),
                    ("day", part(8..10)),
                ];
                self.text("popular-lately", variables)
            }
            ReasonFact::PopularEver { baskets, purchases } => self
                .text("popular-ever", [("count", (*baskets).into()), ("purchases", (*purchases).into()), of]),
            ReasonFact::PopularWithShoppers { shoppers, at_least } => {
                let sure = sureness(SureCount { count: *shoppers, at_least: *at_least });
                self.text("popular-with-shoppers", [("count", (*shoppers).into()), sure, of])
            }
            ReasonFact::Pinned {} => self.text("pinned", []),
            ReasonFact::Catalogue {} => self.text("catalogue", []),
        }
    }

    /// One statement for each product, with its own count: together they could be read as of shoppers of all of them.
    fn each(&self, message: &str, because: &[Evidence], of: CountedShoppers) -> String {
        let mut text = String::new();
        for evidence in because {
            let message = if text.is_empty() { message.to_owned() } else { format!("{message}-also") };
            let variables = [
                ("count", evidence.count.into()),
                sureness(evidence.sure_count()),
                ("of", Variable::Name(of_whom(of))),
                ("product", Variable::Name(&evidence.name)),
            ];
            text += &self.text(&message, variables);
        }
        text
    }

    fn text<const N: usize>(&self, message: &str, variables: [(&'static str, Variable<'_>); N]) -> String {
        let mut arguments = FluentArgs::with_capacity(N);
        for (name, value) in variables {
            match value {
                Variable::Number(number) => arguments.set(name, number),
                Variable::Name(name_value) => arguments.set(name, name_value),
            }
        }
        let mut errors = Vec::new();
        let pattern = self.texts.get_message(message).and_then(|message| message.value());
        let text = pattern.map(|pattern| self.texts.format_pattern(pattern, Some(&arguments), &mut errors));
        if text.is_none() || !errors.is_empty() {
            tracing::error!(language = self.tag, message, ?errors, "a reason cannot be put into words");
        }
        text.unwrap_or_default().into_owned()
    }
}

/// What a message gets.
enum Variable<'a> {
    Number(u64),
    Name(&'a str),
}

impl From<u32> for Variable<'_> {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<u64> for Variable<'_> {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

fn of_whom(of: CountedShoppers) -> &'static str {
    match of {
        CountedShoppers::All => "all",
        CountedShoppers::Others => "others",
    }
}

fn sureness(count: SureCount) -> (&'static str, Variable<'static>) {
    ("sure", Variable::Name(if count.at_least { "at-least" } else { "exactly" }))
}

#[cfg(test)]
mod tests;
