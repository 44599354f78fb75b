//! Cells of typed tables as fields of a CSV file with commas, quoted as RFC 4180 says.

/// Appends a text as a field. Whatever might be taken for a delimiter is quoted, and so are blanks at its ends.
pub(super) fn push_text(text: &[u8], into: &mut Vec<u8>) {
    let is_special = |byte: &u8| matches!(byte, b'"' | b',' | b';' | b'\t' | b'|' | b'\n' | b'\r');
    let is_blank = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_whitespace);
    if !text.iter().any(is_special) && !is_blank(text.first()) && !is_blank(text.last()) {
        into.extend_from_slice(text);
        return;
    }
    into.push(b'"');
    for byte in text {
        if *byte == b'"' {
            into.push(b'"');
        }
        into.push(*byte);
    }
    into.push(b'"');
}

/// The text of a whole number; `None` if it has a fraction. From `first_inexact` on, whole numbers are no longer exact:
/// an id has lost digits, and is written with an exponent, so that it is seen.
pub(super) fn whole_number(number: f64, first_inexact: f64) -> Option<String> {
    if number.fract() != 0.0 || !number.is_finite() {
        return None;
    }
    // Adding zero turns -0 into 0.
    Some(if number.abs() < first_inexact {
        format!("{:.0}", number + 0.0)
    } else {
        format!("{number:E}").replace('E', "E+")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted_where_they_could_be_taken_for_more() {
        for (text, wanted) in [
            ("Cup", "Cup"),
            ("", ""),
            ("a b", "a b"),
            (" a", "\" a\""),
            ("a\n", "\"a\n\""),
            ("5\" nail", "\"5\"\" nail\""),
            ("a;b", "\"a;b\""),
        ] {
            let mut field = Vec::new();
            push_text(text.as_bytes(), &mut field);
            assert_eq!(field, wanted.as_bytes());
        }
    }

    #[test]
    fn whole_numbers_that_are_not_exact_have_an_exponent() {
        let double = |number| whole_number(number, 9_007_199_254_740_992.0);
        assert_eq!(double(13_085.0).as_deref(), Some("13085"));
        assert_eq!(double(-0.0).as_deref(), Some("0"));
        assert_eq!(double(9_007_199_254_740_993.0).as_deref(), Some("9.007199254740992E+15"));
        assert_eq!(double(-4e17).as_deref(), Some("-4E+17"));
        assert_eq!((double(0.5), double(f64::NAN), double(f64::INFINITY)), (None, None, None));
    }
}
