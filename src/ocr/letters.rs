//! Segments the pieces of ink on a line into letters: pieces are joined or cut if the network is then more confident.
//!
//! Pieces above one another are one letter. Where the network is not confident, all segmentations of a piece and its close
//! neighbours are compared. Cuts are at thin ink and at the gaps between pieces. Dynamic programming finds the segmentation
//! with the most likely letters, as in R. Casey and E. Lecolinet, "A survey of methods and strategies in character
//! segmentation", 1996.

use std::collections::BTreeMap;
use std::ops::Range;

use super::components::Component;
use super::lines::LineComponents;
use super::page::BoundingBox;
use super::reader::Reader;
use crate::Result;

/// Pieces above one another are one letter if their horizontal overlap exceeds this fraction of the smaller width.
const ABOVE: f32 = 0.6;
/// A letter with at least this confidence needs no other segmentation.
const SURE: f32 = 0.75;
/// The maximum gap between pieces of one letter, relative to the letter height.
const NEAR: f32 = 0.22;
/// The maximum width of a letter of several pieces, relative to the letter height.
const WIDEST: f32 = 1.35;
/// Wider ink is always cut, even with a high confidence.
const WIDE: f32 = 1.7;
/// Narrower ink is never cut.
const NARROW: f32 = 0.7;
/// The minimum distance of cuts from one another and from the ends, relative to the letter height.
const APART: f32 = 0.22;
/// The maximum number of cuts of one piece.
const CUTS: usize = 4;
/// The maximum number of pieces of one letter.
const PIECES: usize = 4;
/// The cost of a letter in nats, added to its negative log-probability. It favours fewer letters.
const LETTER: f32 = 0.35;
/// The additional cost of a narrow letter, because any stroke looks like an I.
const STROKE: f32 = 0.5;
/// The cost of dropping a mark.
const LEFT_OUT: f32 = 0.6;
/// Ink with less confidence is not a letter.
const NO_LETTER: f32 = 0.1;
/// The maximum width of the stem of an exclamation mark, and the maximum distance of its dot, relative to the letter height.
const STEM: f32 = 0.35;
const DOT_BELOW: f32 = 0.5;

/// So many pieces with a mean certainty below [`NOISE`] are no writing, and are not joined and cut. That takes ten times as long as to
/// read each once.
const MANY: usize = 300;
/// The photos of writing in the tests have 0.85 and more; a pattern of the fuzz tests that took 20 s had 0.36.
const NOISE: f64 = 0.4;

/// If more ranges of pieces than this would be read, pieces are neither joined nor cut: each is read alone. Pages of writing have up to
/// one range a piece. A pattern of the fuzz tests had 1,455 pieces and 26,678 ranges, whose reading took 15 s.
const MOST_SPANS: usize = 10_000;

/// A letter that was found.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    /// Its ink.
    pub component: Component,
    /// The probability of each class.
    pub probabilities: Vec<f32>,
}

/// A piece of ink that may be a letter or part of one.
#[derive(Clone, Debug)]
struct Piece {
    component: Component,
    /// Whether it is too small to be a letter by itself.
    mark: bool,
}

/// Neighbouring pieces that are segmented together.
struct Chain {
    line: usize,
    pieces: Vec<Piece>,
    /// The reading of each range of pieces as one letter, if it was tried.
    read: BTreeMap<(usize, usize), Letter>,
}

/// What is found in lines of ink.
pub(super) enum Found {
    /// The letters of each line, from left to right.
    Letters(Vec<Vec<Letter>>),
    /// Many pieces that are like no letters, with their number and mean certainty.
    Noise(usize, f64),
}

/// Finds the letters of all lines.
pub(super) async fn find(rows: Vec<LineComponents>, letter_height: f32, reader: &mut Reader) -> Result<Found> {
    let lines: Vec<Vec<Piece>> = rows.into_iter().map(|row| pieces(row, letter_height)).collect();
    let known = read_pieces(&lines, reader).await?;
    let certainties = known.iter().flatten().flatten().map(|letter| reader.certainty(&letter.probabilities));
    let (count, sum) = certainties.fold((0, 0.0), |(count, sum), certainty| (count + 1, sum + f64::from(certainty)));
    if count > MANY && sum < NOISE * count as f64 {
        return Ok(Found::Noise(count, sum / count as f64));
    }
    let mut letters: Vec<Vec<Letter>> = vec![Vec::new(); lines.len()];
    let mut chains = Vec::new();
    for (line, (pieces, known)) in lines.into_iter().zip(known).enumerate() {
        chains.extend(chained(line, pieces, known, letter_height, reader));
    }
    let spans = spans(&chains, letter_height, MOST_SPANS);
    let segmented = spans.is_some();
    if let Some(spans) = spans {
        read_spans(&mut chains, spans, reader).await?;
    }
    for chain in chains {
        let letters = &mut letters[chain.line];
        letters.extend(if segmented { chain.best(letter_height, reader) } else { chain.read.into_values().collect() });
        letters.retain(|letter| reader.certainty(&letter.probabilities) > NO_LETTER);
    }
    Ok(Found::Letters(letters))
}

/// The pieces of a line. Pieces above one another are joined, and marks are joined to the letters above, below or around them.
fn pieces(row: LineComponents, letter_height: f32) -> Vec<Piece> {
    let mut joined: Vec<Component> = Vec::new();
    let mut letters = row.letters;
    letters.sort_by_key(|component| component.bounds.left);
    for component in letters {
        let shared = |other: &Component| shared_columns(&other.bounds, &component.bounds);
        match joined.iter_mut().rev().take(2).find(|other| shared(other) > ABOVE) {
            Some(other) => {
                if let Some(both) = Component::joined([&*other, &component]) {
                    *other = both;
                }
            }
            None => joined.push(component),
        }
    }
    let mut loose = Vec::new();
    for mark in row.marks {
        // A stem with a dot below it is an exclamation mark, not an I or 1.
        let stem_above = |component: &Component| {
            let (a, b) = (&component.bounds, &mark.bounds);
            let below = b.top as f32 - a.bottom() as f32;
            shared_columns(a, b) > ABOVE
                && (a.width as f32) < STEM * letter_height
                && (0.0..DOT_BELOW * letter_height).contains(&below)
        };
        if let Some(place) = joined.iter().position(stem_above) {
            joined.remove(place);
            continue;
        }
        // A dot above a letter, as in i and j, a bar or a broken stroke belongs to the letter. A dot below, as in ? and !, does not.
        let over = |component: &&mut Component| {
            let (a, b) = (&component.bounds, &mark.bounds);
            shared_columns(a, b) > ABOVE && b.top < a.bottom() && b.bottom() as f32 > a.top as f32 - 0.6 * letter_height
        };
        match joined.iter_mut().find(over) {
            Some(component) => {
                if let Some(both) = Component::joined([&*component, &mark]) {
                    *component = both;
                }
            }
            None => loose.push(mark),
        }
    }
    let mut pieces: Vec<Piece> = joined.into_iter().map(|component| Piece { component, mark: false }).collect();
    pieces.extend(loose.into_iter().map(|component| Piece { component, mark: true }));
    pieces.sort_by_key(|piece| piece.component.bounds.left + piece.component.bounds.right());
    pieces
}

/// The horizontal overlap as a fraction of the smaller width.
fn shared_columns(a: &BoundingBox, b: &BoundingBox) -> f32 {
    let shared = a.right().min(b.right()).saturating_sub(a.left.max(b.left));
    shared as f32 / a.width.min(b.width).max(1) as f32
}

/// Reads every piece that may be a letter by itself.
async fn read_pieces(lines: &[Vec<Piece>], reader: &mut Reader) -> Result<Vec<Vec<Option<Letter>>>> {
    let alone = |piece: &&Piece| !piece.mark;
    let components: Vec<Component> =
        lines.iter().flatten().filter(alone).map(|piece| piece.component.clone()).collect();
    let probabilities = reader.probabilities(&components).await?;
    let mut read =
        components.into_iter().zip(probabilities).map(|(component, probabilities)| Letter { component, probabilities });
    let of_line = |line: &Vec<Piece>| line.iter().map(|piece| if piece.mark { None } else { read.next() }).collect();
    Ok(lines.iter().map(of_line).collect())
}

/// Divides a line into chains. Two neighbouring pieces with high confidence are never in one chain.
fn chained(
    line: usize,
    pieces: Vec<Piece>,
    known: Vec<Option<Letter>>,
    letter_height: f32,
    reader: &Reader,
) -> Vec<Chain> {
    let mut chains: Vec<Chain> = Vec::new();
    let mut before: Option<(u32, bool)> = None;
    for (piece, letter) in pieces.into_iter().zip(known) {
        let certainty = letter.as_ref().map_or(0.0, |letter| reader.certainty(&letter.probabilities));
        let sure = certainty > SURE;
        let bounds = piece.component.bounds;
        let near = before.is_some_and(|(right, was_sure)| {
            (bounds.left as f32 - right as f32) < NEAR * letter_height && !(sure && was_sure)
        });
        if !near {
            chains.push(Chain { line, pieces: Vec::new(), read: BTreeMap::new() });
        }
        let Some(chain) = chains.last_mut() else { continue };
        let (width, first) = (bounds.width as f32, chain.pieces.len());
        let cut = !piece.mark && (width > WIDE * letter_height || (width > NARROW * letter_height && !sure));
        let cuts = if cut { cuts(&piece.component, letter_height) } else { Vec::new() };
        chain.pieces.extend(divided(piece, &cuts));
        if let Some(letter) = letter {
            chain.read.insert((first, chain.pieces.len()), letter);
        }
        before = Some((bounds.right().max(before.map_or(0, |(right, _)| if near { right } else { 0 })), sure));
    }
    chains
}

/// Cuts a piece at the given columns.
fn divided(piece: Piece, cuts: &[u32]) -> Vec<Piece> {
    let mut components = Vec::new();
    let mut rest = Some(piece.component);
    for &column in cuts {
        let Some([left, right]) = rest.as_ref().map(|component| component.cut(column)) else { break };
        components.extend(left);
        rest = right;
    }
    components.extend(rest);
    components.into_iter().map(|component| Piece { component, mark: piece.mark }).collect()
}

/// The columns at which a piece may be cut: those with the thinnest ink.
fn cuts(component: &Component, letter_height: f32) -> Vec<u32> {
    let columns = component.columns();
    let apart = ((APART * letter_height) as usize).max(2);
    let thin = 1.8 * component.stroke_width;
    let mut places: Vec<usize> =
        (apart..columns.len().saturating_sub(apart)).filter(|&place| columns[place] as f32 <= thin).collect();
    // Among equally thin columns, the mean over a stroke width prefers the centre of a thin region.
    let around = (component.stroke_width / 2.0).ceil() as usize;
    let depth = |place: usize| -> u32 {
        let near = &columns[place.saturating_sub(around)..(place + around + 1).min(columns.len())];
        near.iter().sum::<u32>() * 64 / near.len() as u32
    };
    places.sort_by_key(|&place| (depth(place), place));
    let mut chosen: Vec<usize> = Vec::new();
    for place in places {
        if chosen.len() < CUTS && chosen.iter().all(|other| other.abs_diff(place) >= apart) {
            chosen.push(place);
        }
    }
    chosen.sort_unstable();
    chosen.into_iter().map(|place| component.bounds.left + place as u32).collect()
}

/// A range of pieces of a chain, and their ink together.
struct Span {
    chain: usize,
    range: Range<usize>,
    component: Component,
}

/// All ranges of pieces in the chains that may be one letter and were not read yet. `None` if there are more than `most`.
fn spans(chains: &[Chain], letter_height: f32, most: usize) -> Option<Vec<Span>> {
    let mut found = Vec::new();
    for (number, chain) in chains.iter().enumerate() {
        for range in chain.ranges() {
            if chain.read.contains_key(&(range.start, range.end)) {
                continue;
            }
            let pieces = &chain.pieces[range.clone()];
            let joined = Component::joined(pieces.iter().map(|piece| &piece.component));
            let fits = |component: &Component| component.bounds.width as f32 <= WIDEST * letter_height;
            let letters = pieces.iter().any(|piece| !piece.mark);
            if let Some(component) = joined.filter(|component| letters && fits(component)) {
                if found.len() == most {
                    return None;
                }
                found.push(Span { chain: number, range, component });
            }
        }
    }
    Some(found)
}

/// Reads ranges of pieces as one letter each.
async fn read_spans(chains: &mut [Chain], spans: Vec<Span>, reader: &mut Reader) -> Result<()> {
    let (places, components): (Vec<_>, Vec<_>) =
        spans.into_iter().map(|span| ((span.chain, (span.range.start, span.range.end)), span.component)).unzip();
    let probabilities = reader.probabilities(&components).await?;
    for (((chain, range), component), probabilities) in places.into_iter().zip(components).zip(probabilities) {
        chains[chain].read.insert(range, Letter { component, probabilities });
    }
    Ok(())
}

impl Chain {
    /// All ranges of pieces that may be one letter.
    fn ranges(&self) -> impl Iterator<Item = Range<usize>> {
        let count = self.pieces.len();
        (0..count).flat_map(move |from| (from + 1..=(from + PIECES).min(count)).map(move |to| from..to))
    }

    /// The letters of the most likely segmentation.
    fn best(mut self, letter_height: f32, reader: &Reader) -> Vec<Letter> {
        let count = self.pieces.len();
        // The cost of the best segmentation before each piece, and the first piece of its last letter.
        let mut best = vec![(f32::MAX, 0); count + 1];
        best[0] = (0.0, 0);
        for to in 1..=count {
            for from in 0..to {
                let cost = best[from].0 + self.cost(from, to, letter_height, reader);
                if cost < best[to].0 {
                    best[to] = (cost, from);
                }
            }
        }
        let mut found = Vec::new();
        let mut to = count;
        while to > 0 {
            let from = best[to].1;
            found.extend(self.read.remove(&(from, to)));
            to = from;
        }
        found.reverse();
        found
    }

    /// The cost of reading several pieces as one letter. A mark alone is dropped.
    fn cost(&self, from: usize, to: usize, letter_height: f32, reader: &Reader) -> f32 {
        match self.read.get(&(from, to)) {
            Some(letter) => {
                let narrow = (letter.component.bounds.width as f32) < APART * letter_height;
                let stroke = if narrow && self.pieces.len() > 1 { STROKE } else { 0.0 };
                LETTER + stroke - reader.certainty(&letter.probabilities).max(1e-6).ln()
            }
            None if to - from == 1 && self.pieces[from].mark => LEFT_OUT,
            // Not a letter: used only if there is no alternative.
            None => 1e6,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::components::PixelRun;
    use super::*;

    fn block(left: u32, top: u32, width: u32, height: u32) -> Vec<PixelRun> {
        (top..top + height).map(|y| PixelRun { y, from: left, to: left + width }).collect()
    }

    #[test]
    fn a_bar_within_a_letter_and_a_dot_above_join_it_but_a_dot_below_does_not() {
        let component = |runs| Component::of(runs).expect("ink");
        let arch = [block(40, 20, 30, 10), block(40, 30, 5, 40), block(65, 30, 5, 40)].concat();
        let row = LineComponents {
            letters: vec![component(block(10, 20, 5, 50)), component(arch)],
            marks: vec![component(block(10, 8, 5, 5)), component(block(50, 40, 12, 4)), component(block(55, 75, 5, 5))],
        };
        let pieces = pieces(row, 50.0);
        assert_eq!(pieces.iter().map(|piece| piece.mark).collect::<Vec<_>>(), [false, false, true]);
        assert_eq!((pieces[0].component.bounds.top, pieces[1].component.ink), (8, 300 + 200 + 200 + 48));
    }

    #[test]
    fn a_stem_with_a_dot_below_is_not_a_letter() {
        let component = |runs| Component::of(runs).expect("ink");
        let row = LineComponents {
            letters: vec![component(block(10, 20, 5, 40)), component(block(40, 20, 30, 50))],
            marks: vec![component(block(9, 65, 6, 6))],
        };
        let pieces = pieces(row, 50.0);
        assert_eq!(pieces.iter().map(|piece| piece.component.bounds.left).collect::<Vec<_>>(), [40]);
    }

    #[test]
    fn cuts_go_through_thin_ink() {
        // Two rings connected by a bridge.
        let ring =
            |left| [block(left, 0, 30, 4), block(left, 36, 30, 4), block(left, 4, 4, 32), block(left + 26, 4, 4, 32)];
        let runs = [ring(0).concat(), ring(40).concat(), block(30, 18, 10, 4)].concat();
        let component = Component::of(runs).expect("ink");
        let cuts = cuts(&component, 40.0);
        assert!(cuts.iter().any(|cut| (32..38).contains(cut)), "{cuts:?}");
        let pieces = divided(Piece { component: component.clone(), mark: false }, &cuts);
        assert_eq!(pieces.iter().map(|piece| piece.component.ink).sum::<u32>(), component.ink);
    }

    #[test]
    fn ranges_of_pieces_are_listed_up_to_a_number() {
        let piece = |left| Piece { component: Component::of(block(left, 0, 8, 40)).expect("ink"), mark: false };
        let chain = Chain { line: 0, pieces: (0..5).map(|i| piece(12 * i)).collect(), read: BTreeMap::new() };
        // Five pieces: 5 + 4 + 3 + 2 ranges of up to four, of which the letter height allows all.
        let all = spans(std::slice::from_ref(&chain), 50.0, 14).expect("not too many");
        assert_eq!(all.len(), 14);
        assert_eq!(all.iter().map(|span| span.range.len()).max(), Some(PIECES));
        assert!(spans(&[chain], 50.0, 13).is_none());
    }
}
