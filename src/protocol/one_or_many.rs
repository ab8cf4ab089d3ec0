use std::ops::Deref;

/// Values in order, of which there is mostly one: that takes no memory of its own.
#[derive(Debug)]
pub(crate) enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    #[inline]
    pub(crate) const fn as_slice(&self) -> &[T] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many.as_slice(),
        }
    }
}

impl<T> Deref for OneOrMany<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        self.as_slice()
    }
}

impl<T: Copy> OneOrMany<T> {
    /// Takes what `values` holds, and leaves it empty: where it is one, with its memory.
    #[inline]
    pub(crate) fn take(values: &mut Vec<T>) -> Self {
        if let [one] = **values {
            values.clear();
            Self::One(one)
        } else {
            Self::Many(std::mem::take(values))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_leaves_the_memory_to_the_next() {
        for count in [0, 1, 2, 3] {
            let mut values: Vec<_> = (0..count).collect();
            let capacity = values.capacity();
            let taken = OneOrMany::take(&mut values);
            assert!(taken.iter().copied().eq(0..count) && values.is_empty(), "{taken:?}");
            assert_eq!(values.capacity(), if count == 1 { capacity } else { 0 }, "{taken:?}");
        }
    }
}
