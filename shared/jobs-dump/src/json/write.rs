//! Items to lines of DynamoDB JSON, straight into a buffer.

use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nextbasket_dynamodb::item::Item;

use crate::digest::sorted;
use crate::error::FormatError;

/// Writes `{"Item":{…}}` and a line feed. Attributes stand by name, so equal items have equal lines but for the order
/// within sets.
///
/// # Errors
/// [`FormatError`] for a value of a type that is not known here.
pub fn write_line(item: &Item, out: &mut Vec<u8>) -> Result<(), FormatError> {
    out.extend_from_slice(b"{\"Item\":");
    write_item(item, out)?;
    out.extend_from_slice(b"}\n");
    Ok(())
}

/// Writes an item, or the content of a map.
pub fn write_item(item: &Item, out: &mut Vec<u8>) -> Result<(), FormatError> {
    write_object(item, out, write_value)
}

/// Writes `{…}`, attributes by name, with what writes their values.
pub(crate) fn write_object(
    item: &Item,
    out: &mut Vec<u8>,
    write_value: impl Fn(&AttributeValue, &mut Vec<u8>) -> Result<(), FormatError>,
) -> Result<(), FormatError> {
    out.push(b'{');
    for (n, (name, value)) in sorted(item).into_iter().enumerate() {
        if n > 0 {
            out.push(b',');
        }
        write_string(name, out);
        out.push(b':');
        write_value(value, out)?;
    }
    out.push(b'}');
    Ok(())
}

/// Writes a value with its type.
pub fn write_value(value: &AttributeValue, out: &mut Vec<u8>) -> Result<(), FormatError> {
    let kind: &[u8] = match value {
        AttributeValue::S(_) => b"{\"S\":",
        AttributeValue::N(_) => b"{\"N\":",
        AttributeValue::B(_) => b"{\"B\":",
        AttributeValue::Bool(_) => b"{\"BOOL\":",
        AttributeValue::Null(_) => b"{\"NULL\":",
        AttributeValue::Ss(_) => b"{\"SS\":",
        AttributeValue::Ns(_) => b"{\"NS\":",
        AttributeValue::Bs(_) => b"{\"BS\":",
        AttributeValue::L(_) => b"{\"L\":",
        AttributeValue::M(_) => b"{\"M\":",
        _ => return Err(FormatError::new("the value has an unknown type")),
    };
    out.extend_from_slice(kind);
    write_content(value, out)?;
    out.push(b'}');
    Ok(())
}

/// Writes a value without its type: what stands in a cell whose column has it.
pub(crate) fn write_content(value: &AttributeValue, out: &mut Vec<u8>) -> Result<(), FormatError> {
    match value {
        AttributeValue::S(text) | AttributeValue::N(text) => write_string(text, out),
        AttributeValue::B(bytes) => write_base64(bytes.as_ref(), out),
        AttributeValue::Bool(truth) => out.extend_from_slice(if *truth { b"true" } else { b"false" }),
        AttributeValue::Null(_) => out.extend_from_slice(b"true"),
        AttributeValue::Ss(members) | AttributeValue::Ns(members) => {
            write_list(members, out, |member, out| {
                write_string(member, out);
                Ok(())
            })?;
        }
        AttributeValue::Bs(members) => write_list(members, out, |member, out| {
            write_base64(member.as_ref(), out);
            Ok(())
        })?,
        AttributeValue::L(list) => write_list(list, out, write_value)?,
        AttributeValue::M(map) => write_item(map, out)?,
        _ => return Err(FormatError::new("the value has an unknown type")),
    }
    Ok(())
}

/// Writes `[…]`.
pub(crate) fn write_list<T>(
    list: &[T],
    out: &mut Vec<u8>,
    write: impl Fn(&T, &mut Vec<u8>) -> Result<(), FormatError>,
) -> Result<(), FormatError> {
    out.push(b'[');
    for (n, element) in list.iter().enumerate() {
        if n > 0 {
            out.push(b',');
        }
        write(element, out)?;
    }
    out.push(b']');
    Ok(())
}

/// Writes the line of an item that is text already.
pub(crate) fn write_text(item: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(br#"{"Item":"#);
    out.extend_from_slice(item);
    out.extend_from_slice(b"}\n");
}

pub(crate) fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    let special = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
    while let Some(at) = rest.iter().position(special) {
        let (plain, tail) = rest.split_at(at);
        out.extend_from_slice(plain);
        let Some((&byte, tail)) = tail.split_first() else { break };
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            other => {
                let digit = |four: u8| if four < 10 { b'0' + four } else { b'a' + four - 10 };
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[digit(other >> 4), digit(other & 15)]);
            }
        }
        rest = tail;
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

pub(crate) fn write_base64(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    append_base64(bytes, out);
    out.push(b'"');
}

pub(crate) fn append_base64(bytes: &[u8], out: &mut Vec<u8>) {
    let begin = out.len();
    out.resize(begin + bytes.len().div_ceil(3) * 4, 0);
    let room = out.get_mut(begin..).unwrap_or_default();
    // The room is what base64 takes, to the byte.
    let written = STANDARD.encode_slice(bytes, room).unwrap_or(0);
    out.truncate(begin + written);
}
