//! A page as it is read: its ink, turned so that the letters are upright.

use super::components::{self, Component};
use super::ink::InkMap;
use super::orientation::{self, Orientation};
use super::page::BoundingBox;
use super::reader::Reader;
use super::turn::Turn;
use super::{lines, ruled_lines, skew};
use crate::Result;

/// A page is turned back by the skew of its ink if the network's confidence does not fall by more than this value.
const WORSE: f32 = 0.03;

/// The ink of a page.
pub(super) struct Sheet {
    /// Its connected components.
    pub components: Vec<Component>,
    /// The typical height of a letter.
    pub letter_height: f32,
    turn: Turn,
    ink: InkMap,
}

impl Sheet {
    /// Turns the ink of an image so that the letters are upright. `None` without components.
    ///
    /// The skew is estimated from the ink. Where that says that the page is turned, the network decides between the likely
    /// angles.
    pub async fn upright(ink: InkMap, reader: &mut Reader) -> Result<Option<Self>> {
        let Some(mut best) = Self::straightened(&ink, 0.0) else { return Ok(None) };
        let mut surest = best.find_orientation(reader).await?;
        let angles = skew::candidates(&best.components);
        if angles.first().is_some_and(|angle| angle.abs() > skew::SMALL) {
            surest -= WORSE;
            for angle in angles {
                let Some(mut sheet) = Self::straightened(&ink, angle) else { continue };
                let confidence = sheet.find_orientation(reader).await?;
                if confidence > surest {
                    (best, surest) = (sheet, confidence);
                }
            }
        }
        Ok(best.turned())
    }

    /// Turns the ink of a page back by a skew in degrees. `None` without components, and for a strip that would become too large.
    fn straightened(ink: &InkMap, skew: f32) -> Option<Self> {
        let turn = Turn::new(skew, ink.contrast.width(), ink.contrast.height());
        if !turn.is_moderate() {
            return None;
        }
        let mut ink = InkMap { contrast: turn.straighten(&ink.contrast), ..*ink };
        ruled_lines::remove(&mut ink);
        Self::of(ink, turn)
    }

    fn of(ink: InkMap, turn: Turn) -> Option<Self> {
        let components = components::find(&ink);
        let size = [ink.contrast.width(), ink.contrast.height()];
        let letter_height = lines::letter_height(&components, size, |component| turn.cuts(component))?;
        Some(Self { components, letter_height, turn, ink })
    }

    /// Finds which way is up. Returns the mean confidence in letters.
    async fn find_orientation(&mut self, reader: &mut Reader) -> Result<f32> {
        let (orientation, confidence) = orientation::find(&self.components, self.letter_height, reader).await?;
        self.turn.orientation = orientation;
        Ok(confidence)
    }

    /// Turns the page by the quarter turns that were found.
    fn turned(mut self) -> Option<Self> {
        let orientation = self.turn.orientation;
        if orientation == Orientation::Upright {
            return Some(self);
        }
        self.ink.contrast = orientation.apply(&self.ink.contrast);
        Self::of(self.ink, self.turn)
    }

    /// The clockwise rotation in degrees that made the image upright, from 0 to 360.
    pub fn degrees(&self) -> f64 {
        self.turn.degrees()
    }

    /// The box around a component in the original image of `width` x `height` pixels, and the corners of the box that is
    /// parallel to its line.
    pub fn place(&self, component: &Component, [width, height]: [u32; 2]) -> (BoundingBox, [[i32; 2]; 4]) {
        let scaled = |place: f32| (f64::from(place) * self.ink.scale).round();
        let [from, to] = self.turn.bounds(component);
        let side = |place: f32, most: u32| (scaled(place).max(0.0) as u32).min(most);
        let (left, top) = (side(from[0], width), side(from[1], height));
        let (right, bottom) = (side(to[0], width), side(to[1], height));
        let corners = self.turn.corners(&component.bounds).map(|corner| corner.map(|place| scaled(place) as i32));
        (BoundingBox { left, top, width: right - left, height: bottom - top }, corners)
    }
}
