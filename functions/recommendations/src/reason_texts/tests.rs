//! The texts of both languages, and what is wrong with others.

use std::path::PathBuf;

use nextbasket_domain::time::DAY_MS;
use nextbasket_domain::{ProductId, Timestamp};

use super::*;

const ALL: CountedShoppers = CountedShoppers::All;
const OTHERS: CountedShoppers = CountedShoppers::Others;

fn evidence(name: &str, count: u32) -> Evidence {
    Evidence::new(ProductId::parse("p").unwrap(), name.to_owned(), SureCount::exactly(count))
}

fn at_least(name: &str, count: u32) -> Evidence {
    Evidence { at_least: true, ..evidence(name, count) }
}

#[test]
fn reasons_read_as_sentences_in_both_languages() {
    let texts = ReasonTexts::built_in().unwrap();
    let until = Timestamp::parse("2026-10-11T12:00:00.000Z").unwrap();
    let later = until.plus_millis(2 * DAY_MS);
    let three = || vec![evidence("Beans, dark", 27), evidence("Tamper", 9), at_least("Mug", 2)];
    let lately = |window, now| Reason::popular_lately(2, 3, window, until, now).unwrap();
    for (reason, english, german) in [
        (
            Reason::bought_again(6, 14, until),
            "You bought it in 6 of your last 14 purchases",
            "Sie haben es bei 6 Ihrer letzten 14 Einkäufe gekauft",
        ),
        (
            Reason::bought_again(1, 1, until),
            "You bought it in your last purchase",
            "Sie haben es bei Ihrem letzten Einkauf gekauft",
        ),
        (
            Reason::bought_next(three(), OTHERS).unwrap(),
            "Bought by 27 other shoppers after “Beans, dark”, by 9 after “Tamper”, by at least 2 after “Mug”",
            "Von 27 anderen Kunden nach „Beans, dark“ gekauft, von 9 nach „Tamper“, von mindestens 2 nach „Mug“",
        ),
        (
            Reason::bought_next(vec![at_least("Beans", 26)], OTHERS).unwrap(),
            "Bought by at least 26 other shoppers after “Beans”",
            "Von mindestens 26 anderen Kunden nach „Beans“ gekauft",
        ),
        (
            Reason::bought_together(vec![evidence("Beans", 94), evidence("Mug", 12)], OTHERS).unwrap(),
            "In 94 baskets of other shoppers with “Beans”, in 12 with “Mug”",
            "In 94 Einkäufen anderer Kunden zusammen mit „Beans“, in 12 mit „Mug“",
        ),
        (
            Reason::bought_together(vec![evidence("Beans", 95)], ALL).unwrap(),
            "In 95 baskets with “Beans”",
            "In 95 Einkäufen zusammen mit „Beans“",
        ),
        (
            Reason::bought_by_same_shoppers(evidence("Beans", 3)).unwrap(),
            "Bought by 3 shoppers who bought “Beans” at another time",
            "Von 3 Kunden gekauft, die zu anderer Zeit „Beans“ kauften",
        ),
        (
            lately(Window::Week, until),
            "In 2 of the 3 purchases of the last 7 days",
            "In 2 der 3 Einkäufe der letzten 7 Tage",
        ),
        (
            lately(Window::Day, until),
            "In 2 of the 3 purchases of the last 24 hours",
            "In 2 der 3 Einkäufe der letzten 24 Stunden",
        ),
        (
            lately(Window::Week, later),
            "In 2 of the 3 purchases of the 7 days to 2026-10-11",
            "In 2 der 3 Einkäufe der 7 Tage bis zum 11.10.2026",
        ),
        (lately(Window::AllTime, later), "In 2 of all 3 purchases", "In 2 von allen 3 Einkäufen"),
        (
            Reason::popular_ever(40, 1309, OTHERS).unwrap(),
            "In 40 of all 1309 purchases of other shoppers",
            "In 40 von allen 1309 Einkäufen anderer Kunden",
        ),
        (
            Reason::popular_with_shoppers(SureCount { count: 40, at_least: true }, OTHERS).unwrap(),
            "Bought by at least 40 other shoppers",
            "Von mindestens 40 anderen Kunden gekauft",
        ),
        (Reason::pinned(), "Placed here by the shop", "Vom Shop hier eingesetzt"),
        (Reason::catalogue(), "From the catalogue", "Aus dem Sortiment"),
    ] {
        for (language, text) in [("en-GB", english), ("de-AT,en;q=0.5", german), ("", english)] {
            assert_eq!(texts.preferred(language).phrase(&reason), text);
        }
    }
}

#[test]
fn the_built_in_texts_are_whole() {
    let texts = ReasonTexts::built_in().unwrap();
    for language in [&texts.default, &texts.others[0]] {
        assert_eq!(language.check(), Ok(()), "{}", language.tag);
    }
}

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        fs::write(folder.path().join(name), content).unwrap();
    }
    let path = folder.path().to_owned();
    (folder, path)
}

/// The English texts with a line of them replaced.
fn english(line: &str, replacement: &str) -> String {
    let (_, source) = ENGLISH;
    assert!(source.contains(line), "{line}");
    source.replace(line, replacement)
}

#[test]
fn a_shop_replaces_the_texts_of_a_language_and_adds_another_with_its_own_plurals() {
    let polish = english(
        "popular-with-shoppers = Bought by { shoppers }",
        "popular-with-shoppers = { $count ->\n    [few] { $count } osoby\n   *[many] { $count } osób\n }",
    );
    let german = english("pinned = Placed here by the shop", "pinned = Unsere Wahl");
    let (_folder, path) = folder(&[
        ("pl.ftl", &polish),
        ("DE.ftl", &german),
        ("pt_br.ftl", &german),
        ("README.md", "no texts"),
    ]);
    let texts = ReasonTexts::with_folder(&path).unwrap();
    let phrase = |accepted: &str, reason: &Reason| {
        let language = texts.preferred(accepted);
        (language.tag.clone(), language.phrase(reason))
    };
    let popular = |count| Reason::popular_with_shoppers(SureCount::exactly(count), ALL).unwrap();
    assert_eq!(phrase("pl", &popular(3)), ("pl".to_owned(), "3 osoby".to_owned()));
    assert_eq!(phrase("pl", &popular(5)), ("pl".to_owned(), "5 osób".to_owned()));
    assert_eq!(phrase("de-DE", &Reason::pinned()), ("de".to_owned(), "Unsere Wahl".to_owned()));
    assert_eq!(phrase("pt", &Reason::pinned()), ("pt-BR".to_owned(), "Unsere Wahl".to_owned()));
    assert_eq!(phrase("fr", &Reason::pinned()), ("en".to_owned(), "Placed here by the shop".to_owned()));
}

#[test]
fn texts_that_are_not_whole_are_named_with_what_to_do() {
    let pinned = "pinned = Placed here by the shop";
    let with = |replacement: &str| english(pinned, replacement);
    for (name, content, problem) in [
        ("12.ftl", with(pinned), "\"12\" is not a language. Name the file after one"),
        (
            "de.ftl",
            with(""),
            "message \"pinned\" is missing. Copy it from the built-in en.ftl and translate it.",
        ),
        (
            "de.ftl",
            with("pinned = { $count }"),
            "message \"pinned\" uses the variable $count, which it does not get",
        ),
        ("de.ftl", with("pinned = { $of -> \n [x] { $sum }\n *[y] y\n }"), "It may use no variable."),
        ("de.ftl", with("pinned = { pind }"), "message \"pinned\" refers to \"pind\", which does not exist"),
        (
            "de.ftl",
            with("pinned = { -shop }"),
            "message \"pinned\" refers to \"-shop\", which does not exist",
        ),
        (
            "de.ftl",
            with("pinned = { a }\na = { b }\nb = { a }"),
            "message \"pinned\" refers to itself by \"a\"",
        ),
        ("de.ftl", with("pinned = { NUMBER(1) }"), "message \"pinned\" uses the function NUMBER"),
        ("de.ftl", with("pinned = { catalogue.title }"), "uses an attribute of \"catalogue\""),
        ("de.ftl", with("pinned = { \"\" }"), "of a reason of the kind Pinned gives an empty text"),
        ("de.ftl", with("pinned = { $"), "is not Fluent"),
        ("de.ftl", with("pinned = a\npinned = b"), "Keep one of the two."),
        ("de.ftl", "pinned = Hier\nnonsense\n".to_owned(), "line 2 is not Fluent"),
    ] {
        let (_folder, path) = folder(&[(name, &content)]);
        let error = ReasonTexts::with_folder(&path).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains(problem), "{error}");
    }
    let (_folder, path) = folder(&[("de.txt", "pinned = Hier")]);
    let error = ReasonTexts::with_folder(&path).unwrap_err().to_string();
    assert!(error.contains("has no file named after a language, such as de.ftl"), "{error}");
    let error = ReasonTexts::with_folder(&path.join("missing")).unwrap_err().to_string();
    assert!(error.contains("cannot be read"), "{error}");
    let (_folder, path) = folder(&[]);
    fs::write(path.join("de.ftl"), [0xff, 0xfe]).unwrap();
    assert!(ReasonTexts::with_folder(&path).unwrap_err().to_string().contains("Save it as UTF-8"));
}

#[test]
fn terms_get_their_arguments_alone() {
    let text = "-shop = Laden { $name }\npinned = Von { -shop(name: \"Nera\") }";
    let (_folder, path) = folder(&[("de.ftl", &english("pinned = Placed here by the shop", text))]);
    let texts = ReasonTexts::with_folder(&path).unwrap();
    assert_eq!(texts.preferred("de").phrase(&Reason::pinned()), "Von Laden Nera");
}
