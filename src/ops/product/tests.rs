//! The products against sums in double precision, with the widest vectors of this CPU and with four lanes.

use super::*;
use crate::ops::lanes::{Lanes, Work, dispatch, lanes, with_four};

/// Numbers that are different for each index, of both signs.
fn numbers(count: usize, salt: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 37 + salt * 11) % 101) as f32 / 50.0 - 1.0).collect()
}

fn assert_close(found: f32, wanted: f64, terms: usize, at: &str) {
    assert!((f64::from(found) - wanted).abs() <= 1e-6 * terms as f64 + 1e-6, "{at}: {found} and {wanted}");
}

/// Checks that an outer product is the sum of its definition, on both kinds of vectors and with and without copies.
fn check_outer(rows: usize, columns: Columns, offsets: &[u32]) {
    let depth = offsets.len();
    let last = offsets.iter().max().map_or(0, |&offset| offset as usize);
    let right = numbers(last + (columns.lines - 1) * columns.stride + columns.width, 1);
    let matrix = numbers(rows * depth, 2);
    let out_row = columns.len() + 3;
    // Panels have another height with four lanes.
    let packed_for = |four: bool| {
        let most = if four { 4 } else { panels::panel_height() };
        let (mut packed, mut first) = (Vec::new(), 0);
        while first < rows {
            let height = if rows - first >= most { most } else { 1 << (rows - first).ilog2() };
            let rows = (0..depth).flat_map(|k| (first..first + height).map(move |row| (row, k)));
            packed.extend(rows.map(|(row, k)| matrix[row * depth + k]));
            first += height;
        }
        packed
    };
    for (four, copy, there) in
        [(false, false, false), (false, false, true), (false, true, false), (true, false, false), (true, false, true)]
    {
        let copies = (copy && columns.lines == 1 && rows > 1).then(|| Copies::new(&right, offsets, columns.width));
        let copies = copies.as_ref();
        let left = packed_for(four);
        let mut out = vec![7.0; rows * out_row];
        let product = Outer {
            groups: 1,
            left: if there { Left::There(&matrix) } else { Left::Packed(&left) },
            rows,
            right: &right,
            right_group: 0,
            offsets,
            columns,
            copies,
            out: &mut out,
            out_row,
        };
        if four {
            with_four(product)
        } else {
            dispatch(product)
        }
        for (row, out) in out.chunks(out_row).enumerate() {
            for (column, &found) in out[..columns.len()].iter().enumerate() {
                let at = column / columns.width * columns.stride + column % columns.width;
                let term = |(k, &offset): (usize, &u32)| {
                    f64::from(matrix[row * depth + k]) * f64::from(right[offset as usize + at])
                };
                let wanted = offsets.iter().enumerate().map(term).sum();
                assert_close(found, wanted, depth, &format!("{rows} {columns:?} {depth}: {row} {column}"));
            }
            assert_eq!(out[columns.len()..], [7.0; 3], "nothing is written after a row");
        }
    }
}

#[test]
fn outer_products_have_every_height_width_and_tail() {
    for rows in [1, 2, 3, 5, 8, 15, 17] {
        for columns in [1, 3, 4, 7, 16, 31, 48, 50, 64, 100] {
            for depth in [0, 1, 9, 30] {
                let offsets: Vec<u32> = (0..depth).map(|k| k * columns as u32).collect();
                check_outer(rows, Columns::run(columns), &offsets);
            }
        }
    }
}

#[test]
fn several_products_lie_one_after_another() {
    let (rows, depth, width) = (3, 9, 21);
    let matrices: Vec<Vec<f32>> = (0..4).map(|group| numbers(rows * depth, group)).collect();
    let left: Vec<f32> = matrices
        .iter()
        .flat_map(|matrix| {
            let fill = |first: usize, height: usize, panel: &mut [f32]| {
                turn(&matrix[first * depth..], depth, [height, depth], panel, height)
            };
            pack(rows, depth, fill).to_vec()
        })
        .collect();
    let right = numbers(4 * 200, 9);
    let offsets: Vec<u32> = (0..depth as u32).map(|k| k * 20).collect();
    let product = |groups: usize, group: usize| {
        let mut out = vec![0.0; groups * rows * width];
        let (left, right) = (&left[group * rows * depth..], &right[group * 200..]);
        let columns = Columns::run(width);
        dispatch(Outer {
            groups,
            left: Left::Packed(left),
            rows,
            right,
            right_group: 200,
            offsets: &offsets,
            columns,
            copies: None,
            out: &mut out,
            out_row: width,
        });
        out
    };
    assert_eq!(product(4, 0), (0..4).flat_map(|group| product(1, group)).collect::<Vec<_>>());
}

#[test]
fn rows_of_the_right_matrix_may_begin_anywhere_and_lie_in_several_runs() {
    let offsets = [40, 0, 3, 3, 1, 77];
    check_outer(9, Columns { lines: 5, width: 32, stride: 35 }, &offsets);
    check_outer(4, Columns { lines: 7, width: 16, stride: 16 }, &offsets);
    check_outer(3, Columns { lines: 2, width: 10, stride: 10 }, &offsets);
    // Lines that are not whole vectors.
    for (width, stride) in [(1, 4), (7, 9), (21, 40), (33, 34)] {
        check_outer(1, Columns { lines: 6, width, stride }, &offsets);
        check_outer(11, Columns { lines: 3, width, stride }, &offsets);
    }
}

#[test]
fn inner_products_sum_over_all_runs() {
    for (rows, columns) in [(1, 1), (2, 3), (3, 6), (5, 7), (8, 13), (13, 40)] {
        let (left_row, right_row) = (100, 90);
        let left = numbers(rows * left_row, 3);
        let right = numbers(columns * right_row, 4);
        let runs = [Run { left: 3, right: 0, len: 48 }, Run { left: 60, right: 50, len: 32 }];
        let starts: Vec<u32> = (0..columns).map(|column| (column * right_row) as u32).collect();
        for four in [false, true] {
            let mut out = vec![0.0; rows * columns];
            let product = Inner {
                groups: [1, 0, 0],
                left: &left,
                rows: [rows, left_row],
                right: &right,
                columns: &starts,
                runs: &runs,
                out: &mut out,
                out_row: columns,
                add: false,
            };
            if four {
                with_four(product)
            } else {
                dispatch(product)
            }
            for (index, &found) in out.iter().enumerate() {
                let (row, column) = (index / columns, index % columns);
                let terms = runs.iter().flat_map(|run| (0..run.len).map(move |k| (run.left + k, run.right + k)));
                let term = |(l, r)| f64::from(left[row * left_row + l]) * f64::from(right[column * right_row + r]);
                assert_close(found, terms.map(term).sum(), 80, &format!("{rows} {columns}: {index}"));
            }
        }
    }
}

#[test]
fn gathered_products_are_added_to_the_result() {
    for (count, columns) in [(1, 1), (3, 8), (9, 16), (15, 33), (12, 64), (7, 100)] {
        let left = numbers(500, 5);
        let rows: Vec<u32> = (0..count).map(|row| row * 17 % 90).collect();
        let positions: Vec<u32> = (0..57).map(|step| step * 7 + step % 3).collect();
        let right = numbers(positions.len() * columns + WHOLE, 6);
        let out_row = columns.next_multiple_of(WHOLE);
        for four in [false, true] {
            let mut out = vec![0.5; rows.len() * out_row];
            let (left, right) = (&left[..], &right[..]);
            let product = Gathered { left, rows: &rows, positions: &positions, right, columns, out: &mut out, out_row };
            if four {
                with_four(product)
            } else {
                dispatch(product)
            }
            for (row, out) in out.chunks(out_row).enumerate() {
                for (column, &found) in out[..columns].iter().enumerate() {
                    let term = |(step, &position): (usize, &u32)| {
                        f64::from(left[(rows[row] + position) as usize]) * f64::from(right[step * columns + column])
                    };
                    let wanted = 0.5 + positions.iter().enumerate().map(term).sum::<f64>();
                    assert_close(found, wanted, positions.len(), &format!("{count} {columns}: {row} {column}"));
                }
            }
        }
    }
}

#[test]
fn a_sum_has_the_same_bits_wherever_its_column_lies() {
    let (rows, depth) = (13, 200);
    let matrix = numbers(rows * depth, 7);
    let left =
        pack(rows, depth, |first, height, panel| turn(&matrix[first * depth..], depth, [height, depth], panel, height));
    let right = numbers(depth * 130, 8);
    let product = |first: usize, columns: usize, copy: bool| {
        let offsets: Vec<u32> = (0..depth).map(|k| (k * 130) as u32).collect();
        let mut out = vec![0.0; rows * columns];
        let right = &right[first..];
        let copies = copy.then(|| Copies::new(right, &offsets, columns));
        let (columns, copies) = (Columns::run(columns), copies.as_ref());
        dispatch(Outer {
            groups: 1,
            left: Left::Packed(&left),
            rows,
            right,
            right_group: 0,
            offsets: &offsets,
            columns,
            copies,
            out: &mut out,
            out_row: columns.len(),
        });
        out
    };
    let whole = product(0, 130, true);
    for (first, columns) in [(0, 1), (5, 17), (64, 66), (129, 1)] {
        for (part, whole) in product(first, columns, false).chunks(columns).zip(whole.chunks(130)) {
            assert_eq!(part, &whole[first..first + columns]);
        }
    }
}

#[test]
fn a_transpose_has_every_number_once() {
    for (rows, columns) in [(1, 1), (3, 5), (4, 4), (9, 130), (64, 33), (2, 5000)] {
        let values = numbers(rows * (columns + 2), 9);
        let mut to = vec![0.0; columns * (rows + 1)];
        turn(&values, columns + 2, [rows, columns], &mut to, rows + 1);
        for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))) {
            assert_eq!(to[column * (rows + 1) + row], values[row * (columns + 2) + column]);
        }
    }
}

#[test]
fn scratch_memory_is_kept_and_given_back() {
    let first = Scratch::new(1000).as_ptr();
    assert_eq!(Scratch::new(500).as_ptr(), first);
    let (a, b) = (Scratch::new(10), Scratch::new(10));
    assert_ne!(a.as_ptr(), b.as_ptr());
}

/// Every CPU has vectors whose width divides the lengths that are chosen for all of them.
#[test]
fn lengths_for_all_cpus_are_whole_vectors_here() {
    struct Check;
    impl Work for Check {
        type Output = [usize; 2];
        #[inline(always)]
        fn run<L: Lanes>(self, _: L) -> [usize; 2] {
            [L::LANES, L::REGISTERS]
        }
    }
    assert_eq!(dispatch(Check)[0], lanes());
    assert!(WHOLE.is_multiple_of(lanes()));
    assert_eq!(with_four(Check), [4, 16]);
}
