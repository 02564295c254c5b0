//! From the pieces of ink on a line to its letters: what belongs together is joined, and what touches is cut, where the network
//! is surer of the outcome.
//!
//! Pieces above one another are one letter. Where the network is unsure of a piece, all ways to divide it and its close
//! neighbours among letters are compared, at cuts through thin ink and at the gaps between pieces. The best is the one whose
//! letters are the likeliest together, found by dynamic programming as in R. Casey and E. Lecolinet, "A survey of methods and
//! strategies in character segmentation", 1996.

use std::collections::BTreeMap;
use std::ops::Range;

use super::components::Component;
use super::lines::Row;
use super::page::Area;
use super::reader::Reader;
use crate::Result;

/// Pieces of which one lies so far above or below the other, of the narrower's width, are one letter.
const ABOVE: f32 = 0.6;
/// The network is sure enough of a letter to be asked nothing else.
const SURE: f32 = 0.75;
/// Pieces are tried as one letter over gaps below that part of the usual height.
const NEAR: f32 = 0.22;
/// The widest letter that pieces are joined to, of the usual height.
const WIDEST: f32 = 1.35;
/// Ink wider than that may be several letters even if the network is sure that it is one.
const WIDE: f32 = 1.7;
/// Ink narrower than that is not cut.
const NARROW: f32 = 0.7;
/// How near cuts may lie to one another and to the ends.
const APART: f32 = 0.22;
/// Cuts of one piece.
const CUTS: usize = 4;
/// Pieces that one letter is made of at most.
const PIECES: usize = 4;
/// What a letter costs beside what the network is unsure of, in nats: fewer letters are likelier than more.
const LETTER: f32 = 0.35;
/// What a narrow one costs in addition: a stroke alone looks like an I.
const STROKE: f32 = 0.5;
/// What it costs to leave a mark out.
const LEFT_OUT: f32 = 0.6;
/// Of what the network makes less than that, it is no letter.
const NO_LETTER: f32 = 0.1;
/// An exclamation mark's stem is no wider than that part of the usual height, and its dot no further below than this one.
const STEM: f32 = 0.35;
const DOT_BELOW: f32 = 0.5;

/// A letter as it was found.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    /// Its ink.
    pub part: Component,
    /// The network's probability of each class.
    pub probabilities: Vec<f32>,
}

/// A piece of ink that may be a letter or belong to one.
#[derive(Clone, Debug)]
struct Piece {
    part: Component,
    /// Too small to be a letter by itself.
    mark: bool,
}

/// A row of pieces that are divided among letters together.
struct Chain {
    line: usize,
    pieces: Vec<Piece>,
    /// What is known of neighbouring pieces as one letter.
    read: BTreeMap<(usize, usize), Letter>,
}

/// Finds the letters of all lines, each line's from left to right.
pub(super) async fn find(rows: Vec<Row>, usual: f32, reader: &mut Reader) -> Result<Vec<Vec<Letter>>> {
    let lines: Vec<Vec<Piece>> = rows.into_iter().map(|row| pieces(row, usual)).collect();
    let known = read_pieces(&lines, reader).await?;
    let mut letters: Vec<Vec<Letter>> = vec![Vec::new(); lines.len()];
    let mut chains = Vec::new();
    for (line, (pieces, known)) in lines.into_iter().zip(known).enumerate() {
        chains.extend(chained(line, pieces, known, usual, reader));
    }
    read_spans(&mut chains, usual, reader).await?;
    for chain in chains {
        letters[chain.line].extend(chain.best(usual, reader));
    }
    Ok(letters)
}

/// The pieces of a line: those above one another joined, marks to the letters that they stand over or in.
fn pieces(row: Row, usual: f32) -> Vec<Piece> {
    let mut joined: Vec<Component> = Vec::new();
    let mut letters = row.letters;
    letters.sort_by_key(|part| part.area.left);
    for part in letters {
        let shared = |other: &Component| shared_columns(&other.area, &part.area);
        match joined.iter_mut().rev().take(2).find(|other| shared(other) > ABOVE) {
            Some(other) => {
                if let Some(both) = Component::joined([&*other, &part]) {
                    *other = both;
                }
            }
            None => joined.push(part),
        }
    }
    let mut loose = Vec::new();
    for mark in row.marks {
        // A stem with a dot below it is no I or 1.
        let stem_above = |part: &Component| {
            let (a, b) = (&part.area, &mark.area);
            let below = b.top as f32 - a.bottom() as f32;
            shared_columns(a, b) > ABOVE && (a.width as f32) < STEM * usual && (0.0..DOT_BELOW * usual).contains(&below)
        };
        if let Some(place) = joined.iter().position(stem_above) {
            joined.remove(place);
            continue;
        }
        // Below a letter stand the dots of ! and ?, above it those of i and j; a bar or a broken stroke lies within.
        let over = |part: &&mut Component| {
            let (a, b) = (&part.area, &mark.area);
            shared_columns(a, b) > ABOVE && b.top < a.bottom() && b.bottom() as f32 > a.top as f32 - 0.6 * usual
        };
        match joined.iter_mut().find(over) {
            Some(part) => {
                if let Some(both) = Component::joined([&*part, &mark]) {
                    *part = both;
                }
            }
            None => loose.push(mark),
        }
    }
    let mut pieces: Vec<Piece> = joined.into_iter().map(|part| Piece { part, mark: false }).collect();
    pieces.extend(loose.into_iter().map(|part| Piece { part, mark: true }));
    pieces.sort_by_key(|piece| piece.part.area.left + piece.part.area.right());
    pieces
}

/// The columns that both have, of the narrower's.
fn shared_columns(a: &Area, b: &Area) -> f32 {
    let shared = a.right().min(b.right()).saturating_sub(a.left.max(b.left));
    shared as f32 / a.width.min(b.width).max(1) as f32
}

/// Reads every piece that may be a letter by itself.
async fn read_pieces(lines: &[Vec<Piece>], reader: &mut Reader) -> Result<Vec<Vec<Option<Letter>>>> {
    let alone = |piece: &&Piece| !piece.mark;
    let components: Vec<Component> = lines.iter().flatten().filter(alone).map(|piece| piece.part.clone()).collect();
    let probabilities = reader.probabilities(&components).await?;
    let mut read =
        components.into_iter().zip(probabilities).map(|(part, probabilities)| Letter { part, probabilities });
    let of_line = |line: &Vec<Piece>| line.iter().map(|piece| if piece.mark { None } else { read.next() }).collect();
    Ok(lines.iter().map(of_line).collect())
}

/// Divides a line into chains: a piece that is sure makes one by itself.
fn chained(line: usize, pieces: Vec<Piece>, known: Vec<Option<Letter>>, usual: f32, reader: &Reader) -> Vec<Chain> {
    let mut chains: Vec<Chain> = Vec::new();
    let mut before: Option<(u32, bool)> = None;
    for (piece, letter) in pieces.into_iter().zip(known) {
        let certainty = letter.as_ref().map_or(0.0, |letter| reader.certainty(&letter.probabilities));
        let sure = certainty > SURE;
        let area = piece.part.area;
        let near = before
            .is_some_and(|(right, was_sure)| (area.left as f32 - right as f32) < NEAR * usual && !(sure && was_sure));
        if !near {
            chains.push(Chain { line, pieces: Vec::new(), read: BTreeMap::new() });
        }
        let Some(chain) = chains.last_mut() else { continue };
        let (width, first) = (area.width as f32, chain.pieces.len());
        let cut = !piece.mark && (width > WIDE * usual || (width > NARROW * usual && !sure));
        let cuts = if cut { cuts(&piece.part, usual) } else { Vec::new() };
        chain.pieces.extend(divided(piece, &cuts));
        if let Some(letter) = letter {
            chain.read.insert((first, chain.pieces.len()), letter);
        }
        before = Some((area.right().max(before.map_or(0, |(right, _)| if near { right } else { 0 })), sure));
    }
    chains
}

/// A piece's ink between cuts.
fn divided(piece: Piece, cuts: &[u32]) -> Vec<Piece> {
    let mut components = Vec::new();
    let mut rest = Some(piece.part);
    for &column in cuts {
        let Some([left, right]) = rest.as_ref().map(|part| part.cut(column)) else { break };
        components.extend(left);
        rest = right;
    }
    components.extend(rest);
    components.into_iter().map(|part| Piece { part, mark: piece.mark }).collect()
}

/// Columns at which a piece may be cut: where its ink is thinnest.
fn cuts(part: &Component, usual: f32) -> Vec<u32> {
    let columns = part.columns();
    let apart = ((APART * usual) as usize).max(2);
    let thin = 1.8 * part.stroke;
    let mut places: Vec<usize> =
        (apart..columns.len().saturating_sub(apart)).filter(|&place| columns[place] as f32 <= thin).collect();
    // Of equally thin columns those nearest to the middle of their valley: the mean over a stroke's width decides.
    let around = (part.stroke / 2.0).ceil() as usize;
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
    chosen.into_iter().map(|place| part.area.left + place as u32).collect()
}

/// Reads all neighbouring pieces of the chains that may be one letter.
async fn read_spans(chains: &mut [Chain], usual: f32, reader: &mut Reader) -> Result<()> {
    let mut asked: Vec<(usize, Range<usize>)> = Vec::new();
    let mut components = Vec::new();
    for (number, chain) in chains.iter().enumerate() {
        for span in chain.spans() {
            if chain.read.contains_key(&(span.start, span.end)) {
                continue;
            }
            let pieces = &chain.pieces[span.clone()];
            let joined = Component::joined(pieces.iter().map(|piece| &piece.part));
            let fits = |part: &Component| part.area.width as f32 <= WIDEST * usual;
            let letters = pieces.iter().any(|piece| !piece.mark);
            if let Some(part) = joined.filter(|part| letters && fits(part)) {
                asked.push((number, span));
                components.push(part);
            }
        }
    }
    let probabilities = reader.probabilities(&components).await?;
    for (((number, span), part), probabilities) in asked.into_iter().zip(components).zip(probabilities) {
        chains[number].read.insert((span.start, span.end), Letter { part, probabilities });
    }
    Ok(())
}

impl Chain {
    /// All ranges of pieces that one letter may be made of.
    fn spans(&self) -> impl Iterator<Item = Range<usize>> {
        let count = self.pieces.len();
        (0..count).flat_map(move |from| (from + 1..=(from + PIECES).min(count)).map(move |to| from..to))
    }

    /// The letters that its pieces most likely are.
    fn best(mut self, usual: f32, reader: &Reader) -> Vec<Letter> {
        let count = self.pieces.len();
        // The cost of the best way up to each piece, and where its last letter begins.
        let mut ways = vec![(f32::MAX, 0); count + 1];
        ways[0] = (0.0, 0);
        for to in 1..=count {
            for from in 0..to {
                let cost = ways[from].0 + self.cost(from, to, usual, reader);
                if cost < ways[to].0 {
                    ways[to] = (cost, from);
                }
            }
        }
        let mut found = Vec::new();
        let mut to = count;
        while to > 0 {
            let from = ways[to].1;
            found.extend(self.read.remove(&(from, to)));
            to = from;
        }
        found.reverse();
        found.retain(|letter| reader.certainty(&letter.probabilities) > NO_LETTER);
        found
    }

    /// What it costs to take pieces for one letter; a mark alone is left out.
    fn cost(&self, from: usize, to: usize, usual: f32, reader: &Reader) -> f32 {
        match self.read.get(&(from, to)) {
            Some(letter) => {
                let narrow = (letter.part.area.width as f32) < APART * usual;
                let stroke = if narrow && self.pieces.len() > 1 { STROKE } else { 0.0 };
                LETTER + stroke - reader.certainty(&letter.probabilities).max(1e-6).ln()
            }
            None if to - from == 1 && self.pieces[from].mark => LEFT_OUT,
            // No letter: no way goes there unless there is no other.
            None => 1e6,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::components::Run;
    use super::*;

    fn block(left: u32, top: u32, width: u32, height: u32) -> Vec<Run> {
        (top..top + height).map(|y| Run { y, from: left, to: left + width }).collect()
    }

    #[test]
    fn a_bar_within_a_letter_and_a_dot_above_join_it_but_a_dot_below_does_not() {
        let part = |runs| Component::of(runs).expect("ink");
        let arch = [block(40, 20, 30, 10), block(40, 30, 5, 40), block(65, 30, 5, 40)].concat();
        let row = Row {
            letters: vec![part(block(10, 20, 5, 50)), part(arch)],
            marks: vec![part(block(10, 8, 5, 5)), part(block(50, 40, 12, 4)), part(block(55, 75, 5, 5))],
        };
        let pieces = pieces(row, 50.0);
        assert_eq!(pieces.iter().map(|piece| piece.mark).collect::<Vec<_>>(), [false, false, true]);
        assert_eq!((pieces[0].part.area.top, pieces[1].part.ink), (8, 300 + 200 + 200 + 48));
    }

    #[test]
    fn a_stem_with_a_dot_below_is_no_letter() {
        let part = |runs| Component::of(runs).expect("ink");
        let row = Row {
            letters: vec![part(block(10, 20, 5, 40)), part(block(40, 20, 30, 50))],
            marks: vec![part(block(9, 65, 6, 6))],
        };
        let pieces = pieces(row, 50.0);
        assert_eq!(pieces.iter().map(|piece| piece.part.area.left).collect::<Vec<_>>(), [40]);
    }

    #[test]
    fn cuts_go_through_thin_ink() {
        // Two rings joined by a bridge.
        let ring =
            |left| [block(left, 0, 30, 4), block(left, 36, 30, 4), block(left, 4, 4, 32), block(left + 26, 4, 4, 32)];
        let runs = [ring(0).concat(), ring(40).concat(), block(30, 18, 10, 4)].concat();
        let part = Component::of(runs).expect("ink");
        let cuts = cuts(&part, 40.0);
        assert!(cuts.iter().any(|cut| (32..38).contains(cut)), "{cuts:?}");
        let pieces = divided(Piece { part: part.clone(), mark: false }, &cuts);
        assert_eq!(pieces.iter().map(|piece| piece.part.ink).sum::<u32>(), part.ink);
    }
}
