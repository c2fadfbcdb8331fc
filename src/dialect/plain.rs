//! Reads objects of counts that are written as most are, which is all that most answers have of numbers.

use super::count::{Count, Object};
use super::json::Cursor;

/// A wire type that reads its own members.
pub(super) trait Plain: Default {
    /// Reads the value of the member of this name, and answers the bit by which a repeated one is known: none for
    /// members that are passed over. Nothing if a parser had better see to it.
    fn read_member(&mut self, name: &[u8], from: &mut Cursor<'_>) -> Option<u32>;
}

/// The object that a text is. Nothing if anything in it is odd: then a parser tells what it is.
pub(super) fn read<T: Plain>(text: &[u8]) -> Option<T> {
    let mut cursor = Cursor::new(text);
    let object = read_members(&mut cursor)?;
    cursor.end()?;
    Some(object)
}

fn read_members<T: Plain>(from: &mut Cursor<'_>) -> Option<T> {
    let mut object = T::default();
    let mut seen = 0;
    from.take(b'{')?;
    let mut open = !from.take_if(b'}');
    while open {
        let name = from.plain_string()?;
        from.take(b':')?;
        let bit = object.read_member(name, from)?;
        if seen & bit != 0 {
            return None;
        }
        seen |= bit;
        open = from.take_if(b',');
        if !open {
            from.take(b'}')?;
        }
    }
    Some(object)
}

/// A count of plain digits, or null.
#[inline]
pub(super) fn read_count(from: &mut Cursor<'_>) -> Option<Count> {
    match from.digits() {
        Some(count) => Some(Count(Some(count))),
        None => read_null(from).map(|()| Count(None)),
    }
}

/// An object, or null.
pub(super) fn read_object<T: Plain>(from: &mut Cursor<'_>) -> Option<Option<Object<T>>> {
    if from.peek()? == b'{' {
        return read_members(from).map(|object| Some(Object(object)));
    }
    read_null(from).map(|()| None)
}

fn read_null(from: &mut Cursor<'_>) -> Option<()> {
    (from.value()? == b"null").then_some(())
}
