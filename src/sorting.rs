//! Sorting away from the path of a push, where little code counts for more than the last bit of
//! speed.
//!
//! The standard library's sorts have several ways to choose from, made anew for each type and each
//! comparison: 3 to 25 kB of the component for each call.

/// Sorts by a heap, in place: `n log n` comparisons for any input, and equal items in any order.
pub(crate) fn sort<T>(items: &mut [T], mut is_less: impl FnMut(&T, &T) -> bool) {
    for root in (0..items.len() / 2).rev() {
        sift_down(items, root, &mut is_less);
    }
    for end in (1..items.len()).rev() {
        items.swap(0, end);
        let rest = items.get_mut(..end).unwrap_or_default();
        sift_down(rest, 0, &mut is_less);
    }
}

/// Makes a heap of a tree that is one but for its root.
#[inline(never)]
fn sift_down<T>(tree: &mut [T], mut root: usize, is_less: &mut impl FnMut(&T, &T) -> bool) {
    loop {
        let left = 2 * root + 1;
        let greater = match (tree.get(left), tree.get(left + 1)) {
            (Some(one), Some(other)) if is_less(one, other) => left + 1,
            _ => left,
        };
        match (tree.get(root), tree.get(greater)) {
            (Some(above), Some(below)) if is_less(above, below) => tree.swap(root, greater),
            _ => return,
        }
        root = greater;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_given_comes_out_in_order() {
        // Every sequence of up to six of four different items.
        for len in 0..=6 {
            for number in 0..4_usize.pow(len) {
                let digit = |place: u32| number / 4_usize.pow(place) % 4;
                let mut items: Vec<_> = (0..len).map(digit).collect();
                let mut expected = items.clone();
                expected.sort_unstable();
                sort(&mut items, |one, other| one < other);
                assert_eq!(items, expected);
            }
        }
    }

    #[test]
    fn many_take_n_log_n_comparisons() {
        let shuffled = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let cases: [Vec<u64>; 3] = [
            (0..10_000).collect(),
            (0..10_000).rev().collect(),
            (0..10_000).map(shuffled).collect(),
        ];
        for mut items in cases {
            let mut expected = items.clone();
            expected.sort_unstable_by_key(|item| core::cmp::Reverse(*item));
            let mut compared = 0;
            sort(&mut items, |one, other| {
                compared += 1;
                one > other
            });
            assert_eq!(items, expected);
            assert!(compared < 2 * 10_000 * 14, "{compared}");
        }
    }
}
