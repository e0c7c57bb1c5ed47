//! Shapes of up to [`MAX_RANK`] dimensions, without a heap.

/// The largest number of dimensions a tensor may have.
pub const MAX_RANK: usize = 6;

/// A static shape, batch included; at most [`MAX_RANK`] dimensions.
#[expect(clippy::derived_hash_with_manual_eq, reason = "the two look at the same fields")]
#[derive(Clone, Copy, Eq, Hash)]
pub struct Shape {
    /// Zero past `rank`, as in a tensor record.
    dims: [u32; MAX_RANK],
    rank: u8,
}

impl Shape {
    /// The shape of a scalar: no dimensions, one element.
    pub const SCALAR: Self = Self { dims: [0; MAX_RANK], rank: 0 };

    /// A shape with these dimensions; `None` if there are more than [`MAX_RANK`].
    pub fn new(dims: &[u32]) -> Option<Self> {
        // Word by word: a loop would become a call that copies bytes.
        let at = |axis: usize| dims.get(axis).copied().unwrap_or(0);
        let rank = dims.len() as u8;
        (dims.len() <= MAX_RANK).then(|| Self { dims: [at(0), at(1), at(2), at(3), at(4), at(5)], rank })
    }

    /// The shape that a tensor record spells out, which keeps rule V10.
    pub(crate) fn of_record(&[a, b, c, d, e, f]: &[u32; MAX_RANK], rank: u8) -> Self {
        Self { dims: [a, b, c, d, e, f], rank: rank.min(MAX_RANK as u8) }
    }

    /// The dimensions, outermost first.
    pub fn dims(&self) -> &[u32] {
        self.dims.get(..usize::from(self.rank)).unwrap_or(&self.dims)
    }

    /// Number of dimensions.
    pub fn rank(&self) -> usize {
        usize::from(self.rank)
    }

    /// Dimension `axis`, or 1 past the last one.
    pub fn dim(&self, axis: usize) -> u32 {
        self.dims().get(axis).copied().unwrap_or(1)
    }

    /// The innermost dimension; 1 for a scalar.
    pub fn last(&self) -> u32 {
        self.dims().last().copied().unwrap_or(1)
    }

    /// Number of elements; `None` if it does not fit `u32`.
    pub fn len(&self) -> Option<u32> {
        product(self.dims())
    }

    /// Whether the shape has no elements.
    pub fn is_empty(&self) -> bool {
        self.dims().contains(&0)
    }

    /// The same shape with dimension `axis` replaced; unchanged if there is no such axis.
    #[must_use]
    pub fn with_dim(mut self, axis: usize, dim: u32) -> Self {
        if let Some(d) = self.dims.get_mut(..usize::from(self.rank)).and_then(|dims| dims.get_mut(axis)) {
            *d = dim;
        }
        self
    }

    /// The elements before, at and after `axis`, as three factors of [`Shape::len`].
    pub fn around(&self, axis: usize) -> Option<(u32, u32, u32)> {
        let (outer, rest) = self.dims().split_at_checked(axis)?;
        let (dim, inner) = rest.split_first()?;
        Some((product(outer)?, *dim, product(inner)?))
    }

    /// The shape of an elementwise result of the two, by NumPy's broadcasting rule.
    pub fn broadcast(&self, other: &Self) -> Option<Self> {
        let rank = self.rank().max(other.rank());
        let mut out = Self { dims: [0; MAX_RANK], rank: rank as u8 };
        for (axis, dim) in out.dims.iter_mut().enumerate().take(rank) {
            let side = |s: &Self| (axis + s.rank()).checked_sub(rank).map_or(1, |a| s.dim(a));
            *dim = match (side(self), side(other)) {
                (a, b) if a == b => a,
                (1, b) => b,
                (a, 1) => a,
                _ => return None,
            };
        }
        Some(out)
    }
}

/// Word by word: what is derived compares bytes, by a call.
impl PartialEq for Shape {
    fn eq(&self, other: &Self) -> bool {
        self.rank == other.rank && self.dims.iter().zip(&other.dims).all(|(a, b)| a == b)
    }
}

impl core::fmt::Debug for Shape {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries(self.dims()).finish()
    }
}

fn product(dims: &[u32]) -> Option<u32> {
    dims.iter().try_fold(1u32, |len, &dim| len.checked_mul(dim))
}
