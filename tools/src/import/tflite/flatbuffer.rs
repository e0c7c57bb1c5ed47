//! Reading flatbuffers, totally: whatever the bytes are, each access gives a value or a fault.
//!
//! A table holds a signed 32-bit distance back to its vtable, and its fields. The vtable is a list of
//! 16-bit numbers: its own size, the table's size, and for each field the distance from the table's
//! start to the field, or 0 if the field has its default. Strings, vectors and tables are referred to
//! by an unsigned 32-bit distance from where it stands. All numbers are little-endian.
//!
//! Several tables may refer to the same bytes, so that a small file can describe much more than it
//! holds. What is copied out of a file is therefore counted, and limited by the file's length.

use std::cell::Cell;

use crate::import::Fault;

/// How often the whole file may be copied out of itself. Without shared parts it is less than once.
const MAX_COPIES: usize = 8;

/// What a table counts for, besides its texts and vectors.
const TABLE_BYTES: usize = 32;

/// The longest text that is kept: each operator that a layer becomes has the layer's name.
const MAX_TEXT_BYTES: usize = 1 << 10;

/// What may be copied out of the smallest file.
const MIN_BUDGET_BYTES: usize = 1 << 16;

/// The bytes of a file, and how many may still be copied out of it.
#[derive(Debug)]
pub(super) struct Flatbuffer<'a> {
    bytes: &'a [u8],
    budget_bytes: Cell<usize>,
}

/// A table: where it is, and where its fields are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table<'f, 'a> {
    buffer: &'f Flatbuffer<'a>,
    at: usize,
    /// Distances of the fields, two bytes each.
    fields: &'a [u8],
}

/// A number as a field or as an element of a vector.
pub(super) trait Scalar: Sized {
    /// Its size.
    const BYTES: usize;
    /// The number in these bytes, as many as [`Self::BYTES`].
    fn of(bytes: &[u8]) -> Option<Self>;
}

macro_rules! scalars {
    ($($number:ty)*) => {
        $(impl Scalar for $number {
            const BYTES: usize = size_of::<$number>();
            fn of(bytes: &[u8]) -> Option<Self> {
                Some(<$number>::from_le_bytes(bytes.try_into().ok()?))
            }
        })*
    };
}

scalars!(i8 u8 u16 i32 u32 i64 u64 f32);

impl Scalar for bool {
    const BYTES: usize = 1;
    fn of(bytes: &[u8]) -> Option<Self> {
        u8::of(bytes).map(|byte| byte != 0)
    }
}

pub(super) fn damaged(detail: impl Into<String>) -> Fault {
    Fault::Damaged { container: "TensorFlow Lite flatbuffer", detail: detail.into() }
}

impl<'a> Flatbuffer<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let budget_bytes = bytes.len().saturating_mul(MAX_COPIES).max(MIN_BUDGET_BYTES);
        Self { bytes, budget_bytes: Cell::new(budget_bytes) }
    }

    /// The table that the file begins with.
    pub(super) fn root<'f>(&'f self) -> Result<Table<'f, 'a>, Fault> {
        self.table_at(self.target(0)?)
    }

    /// These bytes of the file.
    pub(super) fn slice(&self, start: u64, bytes: u64) -> Option<&'a [u8]> {
        let start = usize::try_from(start).ok()?;
        self.bytes.get(start..start.checked_add(usize::try_from(bytes).ok()?)?)
    }

    fn scalar<T: Scalar>(&self, at: usize) -> Result<T, Fault> {
        let bytes = at.checked_add(T::BYTES).and_then(|end| self.bytes.get(at..end));
        bytes.and_then(T::of).ok_or_else(|| self.outside(at))
    }

    fn outside(&self, at: usize) -> Fault {
        damaged(format!("something is at byte {at} of {}", self.bytes.len()))
    }

    /// Where the reference at `at` points.
    fn target(&self, at: usize) -> Result<usize, Fault> {
        let distance: u32 = self.scalar(at)?;
        let target = at.checked_add(distance as usize).filter(|_| distance != 0);
        target.ok_or_else(|| damaged(format!("the reference at byte {at} points nowhere")))
    }

    fn table_at<'f>(&'f self, at: usize) -> Result<Table<'f, 'a>, Fault> {
        let back: i32 = self.scalar(at)?;
        let vtable = i64::try_from(at).ok().and_then(|at| usize::try_from(at - i64::from(back)).ok());
        let vtable = vtable.ok_or_else(|| damaged(format!("the table at byte {at} has no vtable")))?;
        let size = usize::from(self.scalar::<u16>(vtable)?);
        let fields = vtable.checked_add(size).and_then(|end| self.bytes.get(vtable.checked_add(4)?..end));
        let fields = fields.ok_or_else(|| damaged(format!("the vtable at byte {vtable} has no end")))?;
        Ok(Table { buffer: self, at, fields })
    }

    /// The elements' bytes, of the vector at `at` with elements of `size` bytes.
    fn vector_at(&self, at: usize, size: usize) -> Result<&'a [u8], Fault> {
        let count: u32 = self.scalar(at)?;
        let bytes = (count as usize).checked_mul(size);
        let elements = bytes.and_then(|bytes| self.bytes.get(at.checked_add(4)?..)?.get(..bytes));
        elements.ok_or_else(|| damaged(format!("the vector at byte {at} has {count} elements")))
    }

    /// Counts bytes that are copied or will be.
    pub(super) fn spend(&self, bytes: usize) -> Result<(), Fault> {
        let left = self.budget_bytes.get().checked_sub(bytes);
        self.budget_bytes.set(left.ok_or_else(|| Fault::Limit {
            what: "the content of the flatbuffer, in bytes with shared parts as often as they are used,",
            found: self.bytes.len().saturating_mul(MAX_COPIES).saturating_add(bytes) as u64,
            limit: self.bytes.len().saturating_mul(MAX_COPIES).max(MIN_BUDGET_BYTES) as u64,
        })?);
        Ok(())
    }
}

impl<'f, 'a> Table<'f, 'a> {
    /// Where a field is; `None` if it has its default.
    fn field(&self, slot: usize) -> Result<Option<usize>, Fault> {
        let distance = slot.checked_mul(2).and_then(|at| self.fields.get(at..)?.get(..2)).and_then(u16::of);
        match distance {
            None | Some(0) => Ok(None),
            Some(distance) => match self.at.checked_add(usize::from(distance)) {
                Some(at) => Ok(Some(at)),
                None => Err(self.buffer.outside(self.at)),
            },
        }
    }

    /// Where the reference in a field points; `None` if the field is absent.
    fn reference(&self, slot: usize) -> Result<Option<usize>, Fault> {
        self.field(slot)?.map(|at| self.buffer.target(at)).transpose()
    }

    /// A number.
    pub(super) fn scalar<T: Scalar>(&self, slot: usize, default: T) -> Result<T, Fault> {
        self.field(slot)?.map_or(Ok(default), |at| self.buffer.scalar(at))
    }

    /// A table.
    pub(super) fn table(&self, slot: usize) -> Result<Option<Table<'f, 'a>>, Fault> {
        self.reference(slot)?.map(|at| self.buffer.table_at(at)).transpose()
    }

    /// The bytes of a vector of bytes, not copied; `None` if it is absent.
    pub(super) fn bytes(&self, slot: usize) -> Result<Option<&'a [u8]>, Fault> {
        self.reference(slot)?.map(|at| self.buffer.vector_at(at, 1)).transpose()
    }

    /// A text, of which a name needs no more than the beginning; empty if it is absent.
    pub(super) fn string(&self, slot: usize) -> Result<String, Fault> {
        let bytes = self.bytes(slot)?.unwrap_or_default();
        let bytes = bytes.get(..MAX_TEXT_BYTES).unwrap_or(bytes);
        self.buffer.spend(bytes.len())?;
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }

    /// The numbers of a vector; `None` if it is absent.
    pub(super) fn vector<T: Scalar>(&self, slot: usize) -> Result<Option<Vec<T>>, Fault> {
        let Some(at) = self.reference(slot)? else {
            return Ok(None);
        };
        let bytes = self.buffer.vector_at(at, T::BYTES)?;
        self.buffer.spend(bytes.len())?;
        Ok(Some(bytes.chunks_exact(T::BYTES).filter_map(T::of).collect()))
    }

    /// The tables of a vector of tables; none if it is absent.
    ///
    /// # Errors
    /// If there are more of them than `limit`, or the vector is outside of the file. Each item is an
    /// error if that table is.
    pub(super) fn tables(
        &self,
        slot: usize,
        what: &'static str,
        limit: usize,
    ) -> Result<impl ExactSizeIterator<Item = Result<Table<'f, 'a>, Fault>> + use<'f, 'a>, Fault> {
        let buffer = self.buffer;
        let (start, count) = match self.reference(slot)? {
            Some(at) => (at.saturating_add(4), buffer.vector_at(at, 4)?.len() / 4),
            None => (0, 0),
        };
        if count > limit {
            return Err(Fault::Limit { what, found: count as u64, limit: limit as u64 });
        }
        buffer.spend(count.saturating_mul(TABLE_BYTES))?;
        Ok((0..count).map(move |number| buffer.table_at(buffer.target(start + 4 * number)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table of three fields: an i32, an absent one, and a vector of u16.
    const BYTES: [u8; 36] = [
        14, 0, 0, 0, // root
        10, 0, 14, 0, 4, 0, 0, 0, 8, 0, // vtable: sizes, then fields at 4, nowhere, 8
        10, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff, 6, 0, 0, 0, 0, 0, // table at 14: vtable at 4; −2; → 28
        2, 0, 0, 0, 1, 0, 2, 0, // vector at 28
    ];

    #[test]
    fn fields_are_read_and_absent_ones_have_their_default() {
        let buffer = Flatbuffer::new(&BYTES);
        let root = buffer.root().unwrap();
        assert_eq!(root.scalar(0, 7i32).unwrap(), -2);
        assert_eq!(root.scalar(1, 7i32).unwrap(), 7);
        assert_eq!(root.scalar(100, 7i32).unwrap(), 7);
        assert_eq!(root.vector::<u16>(2).unwrap(), Some(vec![1, 2]));
        assert_eq!(root.vector::<u16>(1).unwrap(), None);
    }

    #[test]
    fn whatever_the_bytes_are_each_access_gives_a_value_or_a_fault() {
        let visit = |bytes: &[u8]| {
            let buffer = Flatbuffer::new(bytes);
            let Ok(root) = buffer.root() else { return };
            for slot in 0..4 {
                let _ = root.scalar(slot, 0u64);
                let _ = root.string(slot);
                let _ = root.vector::<u16>(slot);
                let _ = root.table(slot).map(|table| table.map(|table| table.scalar(0, 0i32)));
                let _ = root.tables(slot, "tables", 8).map(|tables| tables.count());
            }
        };
        for end in 0..=BYTES.len() {
            visit(&BYTES[..end]);
        }
        for at in 0..BYTES.len() {
            for value in 0..=255 {
                let mut bytes = BYTES;
                bytes[at] = value;
                visit(&bytes);
            }
        }
    }

    #[test]
    fn shared_parts_count_each_time_they_are_used() {
        let buffer = Flatbuffer::new(&BYTES);
        let root = buffer.root().unwrap();
        let uses = (0..).take_while(|_| root.vector::<u16>(2).is_ok()).count();
        assert_eq!(uses, MIN_BUDGET_BYTES / 4);
    }
}
