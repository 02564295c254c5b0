//! The rotation between an image and the page as it is read: by an angle of less than a quarter turn, then by quarter turns.

use image::GrayImage;
use rayon::prelude::*;

use super::components::Component;
use super::orientation::Orientation;
use super::page::BoundingBox;

/// A component is cut off by the edge of the image if it is this close to it, in pixels.
const EDGE: f32 = 1.5;

/// A page that is turned back may have so many times the pixels of its image, or as many pixels as this.
const MOST_GROWTH: f32 = 4.0;
const MODERATE: f32 = 16e6;

/// How an image is turned to be read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Turn {
    /// The clockwise angle of the page in the image, in degrees.
    skew: f32,
    /// The quarter turns that follow after the page was turned back by `skew`.
    pub orientation: Orientation,
    /// Width and height of the image.
    image: [f32; 2],
    /// Width and height after the page was turned back by `skew`.
    straight: [f32; 2],
}

impl Turn {
    /// For an image of `width` x `height` pixels with a page that is turned clockwise by `skew` degrees.
    pub fn new(skew: f32, width: u32, height: u32) -> Self {
        let image = [width as f32, height as f32];
        let (sin, cos) = skew.to_radians().sin_cos();
        let side = |along: f32, across: f32| (along * cos.abs() + across * sin.abs()).ceil();
        let straight = if skew == 0.0 { image } else { [side(image[0], image[1]), side(image[1], image[0])] };
        Self { skew, orientation: Orientation::Upright, image, straight }
    }

    /// Whether the page that is turned back takes little more memory than the image, or little at all. A strip would fill a square.
    pub fn is_moderate(&self) -> bool {
        let area = |[width, height]: [f32; 2]| width * height;
        area(self.straight) <= (MOST_GROWTH * area(self.image)).max(MODERATE)
    }

    /// The clockwise rotation in degrees that makes the image upright, from 0 to 360.
    pub fn degrees(&self) -> f64 {
        (f64::from(self.orientation.degrees()) - f64::from(self.skew)).rem_euclid(360.0)
    }

    /// Turns the page back by the skew. Pixels outside of the image are 0.
    pub fn straighten(&self, image: &GrayImage) -> GrayImage {
        if self.skew == 0.0 {
            return image.clone();
        }
        let at = |x: i64, y: i64| -> f32 {
            let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) else { return 0.0 };
            image.get_pixel_checked(x, y).map_or(0.0, |pixel| f32::from(pixel.0[0]))
        };
        let value = |[x, y]: [f32; 2]| {
            let (x, y) = (x - 0.5, y - 0.5);
            let (right, down) = (x - x.floor(), y - y.floor());
            let (x, y) = (x.floor() as i64, y.floor() as i64);
            let upper = at(x, y) * (1.0 - right) + at(x + 1, y) * right;
            let lower = at(x, y + 1) * (1.0 - right) + at(x + 1, y + 1) * right;
            (upper * (1.0 - down) + lower * down + 0.5) as u8
        };
        let mut straight = GrayImage::new(self.straight[0] as u32, self.straight[1] as u32);
        let width = straight.width().max(1) as usize;
        straight.par_chunks_mut(width).enumerate().for_each(|(y, row)| {
            for (x, to) in row.iter_mut().enumerate() {
                *to = value(self.unstraighten([x as f32 + 0.5, y as f32 + 0.5]));
            }
        });
        straight
    }

    /// Maps a point of the page, turned back by the skew, to the image.
    fn unstraighten(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        if self.skew == 0.0 {
            return [x, y];
        }
        let (sin, cos) = self.skew.to_radians().sin_cos();
        let (x, y) = (x - self.straight[0] / 2.0, y - self.straight[1] / 2.0);
        [x * cos - y * sin + self.image[0] / 2.0, x * sin + y * cos + self.image[1] / 2.0]
    }

    /// Maps a point of the upright page to the image.
    fn back(&self, point: [f32; 2]) -> [f32; 2] {
        self.unstraighten(self.orientation.back(point, self.straight))
    }

    /// The corners of a box of the upright page in the image: left top, right top, right bottom, left bottom of the page.
    pub fn corners(&self, bounds: &BoundingBox) -> [[f32; 2]; 4] {
        let [left, top, right, bottom] =
            [bounds.left, bounds.top, bounds.right(), bounds.bottom()].map(|side| side as f32);
        [[left, top], [right, top], [right, bottom], [left, bottom]].map(|corner| self.back(corner))
    }

    /// The box in the image around a component of the upright page: left top and right bottom.
    pub fn bounds(&self, component: &Component) -> [[f32; 2]; 2] {
        let corners = |run: &super::components::PixelRun| {
            self.corners(&BoundingBox { left: run.from, top: run.y, width: run.len(), height: 1 })
        };
        let around = |[least, most]: [[f32; 2]; 2], point: [f32; 2]| {
            [[0, 1].map(|axis| point[axis].min(least[axis])), [0, 1].map(|axis| point[axis].max(most[axis]))]
        };
        component.runs.iter().flat_map(corners).fold([[f32::MAX; 2], [f32::MIN; 2]], around)
    }

    /// Whether the edge of the image cuts off a component of the page, turned back by the skew.
    pub fn cuts(&self, component: &Component) -> bool {
        let at_edge = |[x, y]: [f32; 2]| {
            let [right, bottom] = [self.image[0] - x, self.image[1] - y];
            [x, y, right, bottom].iter().any(|&distance| distance < EDGE)
        };
        let ends = |run: &super::components::PixelRun| {
            [run.from, run.to].map(|x| self.unstraighten([x as f32, run.y as f32 + 0.5]))
        };
        if self.skew == 0.0 {
            let bounds = &component.bounds;
            let [width, height] = self.image.map(|side| side as u32);
            return bounds.left == 0 || bounds.top == 0 || bounds.right() == width || bounds.bottom() == height;
        }
        component.runs.iter().flat_map(ends).any(at_edge)
    }
}

#[cfg(test)]
mod tests {
    use super::super::components::PixelRun;
    use super::*;
    use image::Luma;

    #[test]
    fn a_strip_is_not_turned_into_a_square() {
        let is_moderate = |width, height| Turn::new(45.0, width, height).is_moderate();
        assert!(is_moderate(3000, 30) && is_moderate(12_000, 9000) && is_moderate(9000, 2000));
        assert!(!is_moderate(2_000_000, 1) && !is_moderate(3, 500_000));
        assert!(Turn::new(0.0, 2_000_000, 1).is_moderate());
    }

    #[test]
    fn an_image_is_straightened_and_its_ink_is_mapped_back() {
        // A bar of 80 x 10 around (100, 60), turned clockwise by 30 degrees.
        let (sin, cos) = 30_f32.to_radians().sin_cos();
        let is_ink = |x: u32, y: u32| {
            let (x, y) = (x as f32 + 0.5 - 100.0, y as f32 + 0.5 - 60.0);
            (x * cos + y * sin).abs() < 40.0 && (y * cos - x * sin).abs() < 5.0
        };
        let image = GrayImage::from_fn(200, 150, |x, y| Luma([if is_ink(x, y) { 255 } else { 0 }]));
        let turn = Turn::new(30.0, 200, 150);
        let straight = turn.straighten(&image);
        let runs = straight.enumerate_pixels().filter(|(.., pixel)| pixel.0[0] > 127);
        let runs = runs.map(|(x, y, _)| PixelRun { y, from: x, to: x + 1 }).collect();
        let bar = Component::of(runs).expect("ink");
        assert!(bar.bounds.width.abs_diff(80) < 2 && bar.bounds.height.abs_diff(10) < 2, "{:?}", bar.bounds);
        let [[left, top], [right, bottom]] = turn.bounds(&bar);
        let (wide, high) = (40.0 * cos + 5.0 * sin, 40.0 * sin + 5.0 * cos);
        for (side, wanted) in [(left, 100.0 - wide), (right, 100.0 + wide), (top, 60.0 - high), (bottom, 60.0 + high)] {
            assert!((side - wanted).abs() < 1.5, "{side} instead of {wanted}");
        }
        assert!(!turn.cuts(&bar));
        assert_eq!(turn.degrees(), 330.0);
    }

    #[test]
    fn points_go_through_quarter_turns_too() {
        let bounds = BoundingBox { left: 3, top: 1, width: 2, height: 5 };
        let turn = Turn { orientation: Orientation::Clockwise90, ..Turn::new(0.0, 9, 7) };
        // The image is 7 x 9 after a clockwise quarter turn. Its left bottom corner is the image's right bottom corner.
        assert_eq!(turn.corners(&bounds), [[1.0, 4.0], [1.0, 2.0], [6.0, 2.0], [6.0, 4.0]]);
        assert_eq!(turn.degrees(), 90.0);
    }
}
