//! Product feeds as XML (RSS 2.0 and Atom, with the names of Google Merchant Center) to JSON Lines.
//!
//! Each `<item>` or `<entry>` becomes one object; each of its direct children with a text becomes a key, without its
//! prefix: `<g:price>15.00 USD</g:price>` is `"price":"15.00 USD"`. So an XML feed has the columns of a text feed. Of
//! elements with one name the first counts, but one of Google's namespace before one without (`<g:title>` before
//! `<title>`). Elements of other namespaces and what is nested deeper, such as the price in `<g:shipping>`, are dropped.

use std::io::{self, BufRead, Read};

use quick_xml::Reader;
use quick_xml::escape::{resolve_predefined_entity, unescape};
use quick_xml::events::{BytesRef, BytesStart, Event};

const GOOGLE_NAMESPACE: &[u8] = b"http://base.google.com/ns/1.0";

/// The prefix of Google's namespace, unless the feed declares another one.
const USUAL_PREFIX: &[u8] = b"g";

/// How deep elements may be nested. Feeds have some five levels.
const MAX_DEPTH: usize = 64;

/// How long an element's text or tag may be: a description with an embedded picture has some megabytes.
const MAX_EVENT_BYTES: usize = 8_000_000;

/// How much of a text is kept. What a product keeps of any text is far shorter.
const MAX_VALUE_BYTES: usize = 10_000;

/// The maximum number of keys of one object, so that it stays a line of readable length.
const MAX_FIELDS: usize = 90;

/// Whether a file that begins like this is an XML feed.
#[must_use]
pub fn is_merchant_feed(start: &[u8]) -> bool {
    let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start();
    let has = |part: &[u8]| text.windows(part.len()).any(|window| window == part);
    text.starts_with(b"<") && (has(b"<rss") || has(b"<feed") || has(GOOGLE_NAMESPACE))
}

/// The products of an XML feed as JSON objects, one on a line. The text must be UTF-8; an item with other bytes becomes
/// a line that is not UTF-8. References to characters and XML's own five entities are resolved, others stay as they
/// are written: no entity is ever expanded.
///
/// Reading fails if the feed is not well-formed, after the items before that point were given.
pub fn merchant_feed_lines<R: BufRead>(reader: R) -> impl Read + use<R> {
    let mut xml = Reader::from_reader(EventBytes { inner: reader, left: MAX_EVENT_BYTES });
    let config = xml.config_mut();
    config.expand_empty_elements = true;
    // Shops forget to escape the & of addresses.
    config.allow_dangling_amp = true;
    FeedLines {
        xml,
        buffer: Vec::new(),
        items: ItemCollector::new(),
        line: Vec::new(),
        given: 0,
        ended: false,
    }
}

/// A reader that fails when a single event takes too many bytes, which would all be kept.
struct EventBytes<R> {
    inner: R,
    left: usize,
}

impl<R: BufRead> Read for EventBytes<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(into)?;
        self.consume(read);
        Ok(read)
    }
}

impl<R: BufRead> BufRead for EventBytes<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left == 0 {
            let message = format!("the feed has an element of more than {MAX_EVENT_BYTES} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        self.inner.fill_buf()
    }

    fn consume(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(bytes);
        self.inner.consume(bytes);
    }
}

struct FeedLines<R> {
    xml: Reader<EventBytes<R>>,
    buffer: Vec<u8>,
    items: ItemCollector,
    /// The line that is being given out, and how much of it was.
    line: Vec<u8>,
    given: usize,
    ended: bool,
}

impl<R: BufRead> Read for FeedLines<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.given == self.line.len() && !self.ended {
            self.line.clear();
            self.given = 0;
            if let Err(error) = self.advance() {
                self.ended = true;
                return Err(error);
            }
        }
        let read = self.line.get(self.given..).unwrap_or_default().read(into)?;
        self.given += read;
        Ok(read)
    }
}

impl<R: BufRead> FeedLines<R> {
    /// Reads one event; a line is there when it ended an item.
    fn advance(&mut self) -> io::Result<()> {
        self.buffer.clear();
        self.xml.get_mut().left = MAX_EVENT_BYTES;
        let event = match self.xml.read_event_into(&mut self.buffer) {
            Ok(event) => event,
            Err(quick_xml::Error::Io(error)) => return Err(io::Error::new(error.kind(), error.to_string())),
            Err(error) => {
                let at = self.xml.error_position();
                return Err(invalid(&format!("is not well-formed XML at byte {at}: {error}")));
            }
        };
        match event {
            Event::Start(tag) => self.items.start(&tag)?,
            Event::Text(text) => self.items.text(&text),
            Event::CData(text) => self.items.text(&text),
            Event::GeneralRef(reference) => self.items.reference(&reference),
            Event::End(_) => self.items.end(&mut self.line)?,
            Event::Eof if self.items.depth > 0 => {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the feed ends inside of an element",
                ));
            }
            Event::Eof => self.ended = true,
            Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
        Ok(())
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the feed {what}"))
}

/// A child of an item.
struct FeedField {
    name: String,
    of_google: bool,
    value: Vec<u8>,
}

/// Puts the elements of a feed together to items.
struct ItemCollector {
    prefix: Vec<u8>,
    depth: usize,
    /// The depth of the item that is open.
    item: Option<usize>,
    fields: Vec<FeedField>,
    /// The child of the item that is open, if it is one to keep.
    open: Option<FeedField>,
}

impl ItemCollector {
    fn new() -> Self {
        Self { prefix: USUAL_PREFIX.to_vec(), depth: 0, item: None, fields: Vec::new(), open: None }
    }

    fn start(&mut self, tag: &BytesStart<'_>) -> io::Result<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(invalid(&format!("has elements nested more than {MAX_DEPTH} deep")));
        }
        self.find_prefix(tag);
        let (name, local) = (tag.name(), tag.local_name());
        match self.item {
            None if matches!(local.as_ref(), b"item" | b"entry") => {
                self.item = Some(self.depth);
                self.fields.clear();
            }
            Some(item) if self.depth == item + 1 => {
                let prefix = name.prefix();
                let of_google = prefix.is_some_and(|prefix| prefix.as_ref() == self.prefix);
                self.open = match std::str::from_utf8(local.as_ref()) {
                    Ok(name) if of_google || prefix.is_none() => {
                        Some(FeedField { name: name.to_owned(), of_google, value: address(tag) })
                    }
                    _ => None,
                };
            }
            _ => {}
        }
        Ok(())
    }

    /// Remembers the prefix that the feed has for Google's namespace.
    fn find_prefix(&mut self, tag: &BytesStart<'_>) {
        for attribute in tag.attributes().flatten() {
            if attribute.value.as_ref() == GOOGLE_NAMESPACE
                && let Some(prefix) = attribute.key.as_ref().strip_prefix(b"xmlns:")
            {
                self.prefix = prefix.to_vec();
            }
        }
    }

    fn text(&mut self, text: &[u8]) {
        if let (Some(field), Some(item)) = (&mut self.open, self.item)
            && self.depth == item + 1
        {
            let left = MAX_VALUE_BYTES.saturating_sub(field.value.len());
            field.value.extend_from_slice(text.get(..left).unwrap_or(text));
        }
    }

    fn reference(&mut self, reference: &BytesRef<'_>) {
        let name = reference.as_ref();
        let predefined = std::str::from_utf8(name).ok().and_then(resolve_predefined_entity);
        match (reference.resolve_char_ref(), predefined) {
            (Ok(Some(character)), _) => self.text(character.encode_utf8(&mut [0; 4]).as_bytes()),
            (_, Some(text)) => self.text(text.as_bytes()),
            _ => self.text(&[b"&", name, b";"].concat()),
        }
    }

    /// Ends the element; if it is an item, writes it.
    fn end(&mut self, line: &mut Vec<u8>) -> io::Result<()> {
        match self.item {
            Some(item) if self.depth == item + 1 => {
                if let Some(field) = self.open.take() {
                    self.keep(field);
                }
            }
            Some(item) if self.depth == item => {
                self.item = None;
                write_object(&self.fields, line)?;
            }
            _ => {}
        }
        self.depth = self.depth.saturating_sub(1);
        Ok(())
    }

    fn keep(&mut self, mut field: FeedField) {
        field.value = tidy(&field.value);
        if field.value.is_empty() {
            return;
        }
        let is_full = self.fields.len() >= MAX_FIELDS;
        match self.fields.iter_mut().find(|other| other.name == field.name) {
            Some(other) if field.of_google && !other.of_google => *other = field,
            None if !is_full => self.fields.push(field),
            Some(_) | None => {}
        }
    }
}

/// The address of an Atom `<link href="…"/>`; nothing for other elements.
fn address(tag: &BytesStart<'_>) -> Vec<u8> {
    if tag.local_name().as_ref() != b"link" {
        return Vec::new();
    }
    let Ok(Some(href)) = tag.try_get_attribute("href") else { return Vec::new() };
    let unescaped = std::str::from_utf8(&href.value).ok().and_then(|address| unescape(address).ok());
    unescaped.map_or_else(|| href.value.to_vec(), |address| address.as_bytes().to_vec())
}

/// A value without blanks around it, on one line, and without the rest of a character that was cut.
fn tidy(value: &[u8]) -> Vec<u8> {
    let whole = match std::str::from_utf8(value) {
        Err(error) if value.len() >= MAX_VALUE_BYTES && error.error_len().is_none() => {
            value.get(..error.valid_up_to()).unwrap_or_default()
        }
        _ => value,
    };
    let mut tidied: Vec<u8> = Vec::with_capacity(whole.len());
    let lines = whole.split(|byte| matches!(byte, b'\n' | b'\r' | b'\t')).map(<[u8]>::trim_ascii);
    for line in lines.filter(|line| !line.is_empty()) {
        if !tidied.is_empty() {
            tidied.push(b' ');
        }
        tidied.extend_from_slice(line);
    }
    tidied
}

fn write_object(fields: &[FeedField], line: &mut Vec<u8>) -> io::Result<()> {
    line.push(b'{');
    for (index, field) in fields.iter().enumerate() {
        if index > 0 {
            line.push(b',');
        }
        serde_json::to_writer(&mut *line, &field.name)?;
        line.push(b':');
        match std::str::from_utf8(&field.value) {
            Ok(value) => serde_json::to_writer(&mut *line, value)?,
            // Left as it is, so that whoever reads the line sees that it is not UTF-8.
            Err(_) => {
                line.push(b'"');
                line.extend_from_slice(&field.value);
                line.push(b'"');
            }
        }
    }
    line.extend_from_slice(b"}\n");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(xml: &[u8]) -> (Vec<String>, Option<String>) {
        let mut text = Vec::new();
        let end = merchant_feed_lines(io::BufReader::with_capacity(7, xml)).read_to_end(&mut text).err();
        let lines = String::from_utf8_lossy(&text).lines().map(str::to_owned).collect();
        (lines, end.map(|error| error.to_string()))
    }

    fn one(item: &str) -> String {
        let (lines, end) = lines(format!("<rss><channel><item>{item}</item></channel></rss>").as_bytes());
        assert_eq!((lines.len(), end), (1, None));
        lines.concat()
    }

    #[test]
    fn an_item_is_an_object_with_the_names_of_a_text_feed() {
        assert_eq!(
            one(
                "<g:id>a1</g:id>\n  <title>Tea &amp; <![CDATA[<b>milk</b>]]></title><g:price>15.00 USD</g:price>"
            ),
            r#"{"id":"a1","title":"Tea & <b>milk</b>","price":"15.00 USD"}"#
        );
        assert_eq!(
            one(r#"<link rel="alternate" href="https://a?b=1&amp;c=2"/>"#),
            r#"{"link":"https://a?b=1&c=2"}"#
        );
        assert_eq!(one(""), "{}");
    }

    #[test]
    fn names_of_google_count_before_others_and_foreign_ones_not_at_all() {
        assert_eq!(
            one("<title>Short</title><g:title>Long</g:title><title>Other</title>"),
            r#"{"title":"Long"}"#
        );
        assert_eq!(
            one("<media:title>A</media:title><g:title>B</g:title><g:title>C</g:title>"),
            r#"{"title":"B"}"#
        );
        let own = br#"<rss xmlns:x="http://base.google.com/ns/1.0"><item><x:id>1</x:id><g:id>2</g:id></item></rss>"#;
        assert_eq!(lines(own).0, [r#"{"id":"1"}"#]);
    }

    #[test]
    fn what_is_nested_deeper_is_not_taken_for_the_product() {
        let item = "<g:shipping><g:price>4.90 EUR</g:price></g:shipping><g:price>1.00 EUR</g:price>";
        assert_eq!(one(item), r#"{"price":"1.00 EUR"}"#);
        assert_eq!(one("<title>a<b>c</b>d</title><item><g:id>x</g:id></item>"), r#"{"title":"ad"}"#);
    }

    #[test]
    fn texts_are_on_one_line_and_of_bounded_length() {
        assert_eq!(one("<title>\n  Big\r\n\tcup  x\n</title>"), r#"{"title":"Big cup  x"}"#);
        let long = one(&format!("<title>x{}</title>", "é".repeat(MAX_VALUE_BYTES)));
        assert_eq!(long, format!(r#"{{"title":"x{}"}}"#, "é".repeat(MAX_VALUE_BYTES / 2 - 1)));
        let many: String = (0..MAX_FIELDS + 10).map(|i| format!("<g:f{i}>1</g:f{i}>")).collect();
        assert_eq!(one(&many).matches(':').count(), MAX_FIELDS);
    }

    #[test]
    fn only_characters_and_the_five_entities_are_resolved() {
        assert_eq!(
            one("<title>&lt;&gt;&amp;&apos;&quot; &#252;&#xDF; &nbsp; &#0; a & b &bomb;</title>"),
            r#"{"title":"<>&'\" üß &nbsp; &#0; a & b &bomb;"}"#
        );
        let bomb =
            br#"<!DOCTYPE r [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><r><item><id>&b;</id></item></r>"#;
        assert_eq!(lines(bomb).0, [r#"{"id":"&b;"}"#]);
    }

    #[test]
    fn a_feed_that_breaks_off_gives_the_items_before_the_break() {
        for (rest, why) in [
            ("<item><g:id>2</g:id>", "the feed ends inside of an element"),
            ("<item><g:id>2</g:title></item>", "the feed is not well-formed XML at byte"),
            ("<item><g:id>2", "the feed"),
        ] {
            let (lines, end) = lines(format!("<rss><item><g:id>1</g:id></item>{rest}").as_bytes());
            assert_eq!(lines, [r#"{"id":"1"}"#], "{rest}");
            assert!(end.as_deref().is_some_and(|end| end.starts_with(why)), "{rest}: {end:?}");
        }
    }

    #[test]
    fn an_item_that_is_not_utf_8_becomes_a_line_that_is_not() {
        let mut text = Vec::new();
        let xml = b"<rss><item><id>1</id><title>Caf\xe9</title></item><item><id>2</id></item></rss>";
        merchant_feed_lines(&xml[..]).read_to_end(&mut text).unwrap();
        assert_eq!(text, b"{\"id\":\"1\",\"title\":\"Caf\xe9\"}\n{\"id\":\"2\"}\n");
    }

    #[test]
    fn deep_nesting_and_endless_elements_end_the_feed() {
        let deep = "<a>".repeat(MAX_DEPTH + 1);
        assert_eq!(lines(deep.as_bytes()).1.unwrap(), "the feed has elements nested more than 64 deep");
        let endless = io::Cursor::new(b"<rss><item><g:id>").chain(io::repeat(b'x'));
        let error =
            merchant_feed_lines(io::BufReader::new(endless)).read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "the feed has an element of more than 8000000 bytes");
    }

    #[test]
    fn a_feed_is_known_by_its_beginning() {
        for yes in [
            "<?xml version=\"1.0\"?>\n<rss version=\"2.0\">",
            "\u{feff} <feed xmlns=\"x\">",
            "<p xmlns=\"http://base.google.com/ns/1.0\">",
        ] {
            assert!(is_merchant_feed(yes.as_bytes()), "{yes}");
        }
        for no in ["id,title\n1,<rss>", "<!DOCTYPE html><html>", "{\"a\":\"<rss\"}", ""] {
            assert!(!is_merchant_feed(no.as_bytes()), "{no}");
        }
    }

    proptest! {
        #[test]
        fn any_texts_are_given_as_they_are(texts in prop::collection::vec("[ -~äß€]{1,30}", 1..5)) {
            let items: String = texts
                .iter()
                .map(|text| format!("<item><g:id>{}</g:id></item>", quick_xml::escape::escape(text.as_str())))
                .collect();
            let (lines, end) = lines(format!("<rss>{items}</rss>").as_bytes());
            prop_assert_eq!(end, None);
            let read: Vec<String> = lines
                .iter()
                .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["id"].as_str().unwrap_or_default().to_owned())
                .collect();
            let trimmed: Vec<String> = texts.iter().map(|text| text.trim().to_owned()).collect();
            prop_assert_eq!(read, trimmed);
        }

        #[test]
        fn no_bytes_break_it(xml in prop::collection::vec(prop::sample::select(vec!["<rss>", "<item>", "</item>", "<g:id>", "</g:id>", "<link href='", "'/>", "&", ";", "#x", "<![CDATA[", "]]>", "<!--", "x", "\u{0}", "é"]), 0..40)) {
            lines(xml.concat().as_bytes());
        }
    }
}
