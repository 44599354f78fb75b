//! Answers of the query protocol: XML of elements with either text or children.

use quick_xml::Reader;
use quick_xml::events::Event;

/// How deep elements may nest; answers of AWS have some ten levels.
const MAX_DEPTH: usize = 64;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) name: String,
    pub(super) text: String,
    pub(super) children: Vec<Element>,
}

impl Element {
    /// The document's root; `None` if it is not XML.
    pub(super) fn parse(document: &str) -> Option<Self> {
        let mut reader = Reader::from_str(document);
        // The first one is around the root.
        let mut open = vec![Self::default()];
        loop {
            match reader.read_event().ok()? {
                Event::Start(tag) => {
                    let name = String::from_utf8(tag.local_name().as_ref().to_vec()).ok()?;
                    open.push(Self { name, ..Self::default() });
                    if open.len() > MAX_DEPTH {
                        return None;
                    }
                }
                Event::Empty(tag) => {
                    let name = String::from_utf8(tag.local_name().as_ref().to_vec()).ok()?;
                    open.last_mut()?.children.push(Self { name, ..Self::default() });
                }
                Event::End(_) => {
                    let done = open.pop()?;
                    open.last_mut()?.children.push(done);
                }
                Event::Text(text) => open.last_mut()?.text.push_str(&text.decode().ok()?),
                Event::CData(text) => open.last_mut()?.text.push_str(&text.decode().ok()?),
                Event::GeneralRef(reference) => {
                    let name = reference.decode().ok()?;
                    let character = match reference.resolve_char_ref().ok()? {
                        Some(character) => character.to_string(),
                        None => quick_xml::escape::resolve_predefined_entity(&name)?.to_owned(),
                    };
                    open.last_mut()?.text.push_str(&character);
                }
                Event::Eof => break,
                _ => {}
            }
        }
        let [around] = open.as_slice() else { return None };
        around.children.first().cloned()
    }

    pub(super) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The text of a child.
    pub(super) fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.trim())
    }

    /// The `member`s of a child.
    pub(super) fn members(&self, name: &str) -> &[Self] {
        self.child(name).map(|child| child.children.as_slice()).unwrap_or_default()
    }

    /// The first element of this name at any depth.
    pub(super) fn find(&self, name: &str) -> Option<&Self> {
        if self.name == name {
            return Some(self);
        }
        self.children.iter().find_map(|child| child.find(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_tree_of_elements_and_texts() {
        let root = Element::parse(
            "<?xml version=\"1.0\"?>\n<A xmlns=\"u\"><B><member><K>a &amp; &#98;</K><E/></member>\n<member><K><![CDATA[<c>]]></K></member></B></A>",
        )
        .unwrap();
        let texts: Vec<_> = root.members("B").iter().filter_map(|member| member.text_of("K")).collect();
        assert_eq!(texts, ["a & b", "<c>"]);
        assert_eq!(root.find("E").map(|e| e.text.as_str()), Some(""));
        assert_eq!(root.find("F"), None);
    }

    #[test]
    fn what_is_not_xml_is_nothing() {
        for text in ["", "no", "<A>", "<A></B>", "{\"a\":1}", &"<A>".repeat(1_000)] {
            assert_eq!(Element::parse(text), None, "{text:?}");
        }
    }
}
