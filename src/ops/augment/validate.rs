//! Which settings can be used.

use super::{Augment, CutoutFill};
use crate::{Error, Result};

impl Augment {
    /// Checks that numbers are in range.
    ///
    /// # Errors
    /// [`Error::Usage`] with the field, its value and the allowed range.
    pub fn validate(&self) -> Result<()> {
        let check = |field: &str, value: f64, good: bool, range: &str| match good && value.is_finite() {
            true => Ok(()),
            false => Err(Error::out_of_range(&format!("[augment] {field}"), value, range)),
        };
        check("rotate", self.rotate, (0.0..=180.0).contains(&self.rotate), "from 0 to 180 degrees")?;
        check("shear", self.shear, (0.0..=60.0).contains(&self.shear), "from 0 to 60 degrees")?;
        let chance = self.affine_chance.unwrap_or(1.0);
        check("affine_chance", chance, (0.0..=1.0).contains(&chance), "from 0 to 1")?;
        check("brightness", self.brightness, (0.0..=1.0).contains(&self.brightness), "from 0 to 1")?;
        check("contrast", self.contrast, (0.0..=1.0).contains(&self.contrast), "from 0 to 1")?;
        if let Some([low, high]) = self.scale {
            check("scale's first number", low, (0.1..=10.0).contains(&low), "from 0.1 to 10")?;
            check("scale's second number", high, (low..=10.0).contains(&high), "from the first to 10")?;
        }
        check("stroke", self.stroke, (0.0..=1.0).contains(&self.stroke), "from 0 to 1")?;
        check("noise", self.noise, (0.0..=1.0).contains(&self.noise), "from 0 to 1")?;
        check("saturation", self.saturation, (0.0..=1.0).contains(&self.saturation), "from 0 to 1")?;
        check("perspective", self.perspective, (0.0..=0.6).contains(&self.perspective), "from 0 to 0.6")?;
        check("hue", self.hue, (0.0..=0.5).contains(&self.hue), "from 0 to 0.5")?;
        check("grey", self.grey, (0.0..=1.0).contains(&self.grey), "from 0 to 1")?;
        let is_blur = self.blur == 0.0 || (0.1..=10.0).contains(&self.blur);
        check("blur", self.blur, is_blur, "0, or from 0.1 to 10 pixels")?;
        for (field, alpha) in [("mixup", self.mixup), ("cutmix", self.cutmix)] {
            check(field, alpha, alpha == 0.0 || (0.05..=4.0).contains(&alpha), "0, or from 0.05 to 4")?;
        }
        let chance = self.mix_chance.unwrap_or(1.0);
        check("mix_chance", chance, (0.0..=1.0).contains(&chance), "from 0 to 1")?;
        if let Some(crop) = self.resized_crop {
            crop.validate("resized_crop")?;
        }
        if let Some(erase) = self.erase {
            erase.validate()?;
        }
        self.validate_together()?;
        for &value in self.mean.iter().flatten() {
            check("mean", value, true, "finite numbers")?;
        }
        for &value in self.std.iter().flatten() {
            check("std", value, value > 1e-6, "numbers above 0.000001")?;
        }
        if self.mean.is_some() != self.std.is_some() {
            return Err(Error::usage("[augment] needs mean and std together, or neither."));
        }
        let fills = [("cutout_fill", Some(self.cutout_fill)), ("erase's fill", self.erase.map(|erase| erase.fill))];
        for (field, fill) in fills {
            if fill == Some(CutoutFill::Mean) && self.mean.is_none() {
                return Err(Error::usage(format!("[augment] {field} = \"mean\" needs the channels' mean and std.")));
            }
        }
        Ok(())
    }

    /// Checks that the settings can be combined.
    fn validate_together(&self) -> Result<()> {
        let moved = self.translate > 0 || self.cutout > 0 || self.is_warped();
        if self.resized_crop.is_some() && moved {
            return Err(Error::usage(
                "[augment] resized_crop goes with neither of translate, cutout, rotate, scale, shear and perspective; leave one out.",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Erasing, Flip, Padding, ResizedCrop};
    use super::*;

    #[test]
    fn numbers_out_of_range_and_images_that_do_not_fit_are_refused_by_name() {
        let none = Augment::default;
        let parts = |scale, ratio| Some(ResizedCrop { scale, ratio });
        let cases = [
            (Augment { rotate: -1.0, ..none() }, "rotate"),
            (Augment { shear: f64::NAN, ..none() }, "shear"),
            (Augment { affine_chance: Some(80.0), ..none() }, "affine_chance"),
            (Augment { scale: Some([1.2, 0.8]), ..none() }, "scale"),
            (Augment { brightness: 1.5, ..none() }, "brightness"),
            (Augment { mean: Some(vec![0.5]), ..none() }, "together"),
            (Augment { mean: Some(vec![0.5]), std: Some(vec![0.0]), ..none() }, "std"),
            (Augment { cutout_fill: CutoutFill::Mean, ..none() }, "cutout_fill"),
            (Augment { stroke: 1.5, ..none() }, "stroke"),
            (Augment { noise: -0.1, ..none() }, "noise"),
            (Augment { hue: 0.6, ..none() }, "hue"),
            (Augment { blur: 0.05, ..none() }, "blur"),
            (Augment { mixup: 9.0, ..none() }, "mixup"),
            (Augment { perspective: 1.0, ..none() }, "perspective"),
            (Augment { erase: Some(Erasing { chance: 2.0, ..Erasing::default() }), ..none() }, "erase's chance"),
            (
                Augment { erase: Some(Erasing { scale: [0.5, 0.2], ..Erasing::default() }), ..none() },
                "erase's second scale",
            ),
            (
                Augment { erase: Some(Erasing { fill: CutoutFill::Mean, ..Erasing::default() }), ..none() },
                "erase's fill",
            ),
            (Augment { resized_crop: Some(ResizedCrop::default()), translate: 2, ..none() }, "translate"),
            (Augment { resized_crop: parts([0.0, 1.0], [1.0, 1.0]), ..none() }, "first scale"),
            (Augment { resized_crop: parts([0.5, 0.4], [1.0, 1.0]), ..none() }, "second scale"),
            (Augment { resized_crop: parts([0.5, 1.0], [1.0, 11.0]), ..none() }, "second ratio"),
        ];
        for (augment, part) in cases {
            let sentence = augment.validate().expect_err("refused").to_string();
            assert!(sentence.contains(part), "{sentence}");
        }
        let cases = [
            (Augment { crop: Some([33, 32]), ..none() }, "crop"),
            (Augment { translate: 32, ..none() }, "translate"),
            (Augment { cutout: 40, ..none() }, "cutout"),
            (Augment { mean: Some(vec![0.5]), std: Some(vec![0.2]), ..none() }, "mean"),
            (Augment { blur: 10.0, crop: Some([30, 30]), ..none() }, "blur"),
        ];
        for (augment, part) in cases {
            let sentence = augment.output([3, 32, 32]).expect_err("refused").to_string();
            assert!(sentence.contains(part) && sentence.contains("3x32x32"), "{sentence}");
        }
        let cropped = Augment { crop: Some([24, 28]), ..none() };
        assert!(cropped.is_random([3, 32, 32]) && !cropped.is_random([3, 24, 28]) && !none().is_random([3, 32, 32]));
        let normalised = Augment { mean: Some(vec![0.5]), std: Some(vec![0.25]), padding: Padding::Reflect, ..none() };
        assert!(!normalised.is_random([1, 8, 8]));
        assert!(Augment { flip: Flip::Random, ..normalised }.is_random([1, 8, 8]));
        assert_eq!(cropped.output([3, 32, 32]).expect("a shape"), [3, 24, 28]);
        for grey in
            [Augment { hue: 0.1, ..none() }, Augment { grey: 0.1, ..none() }, Augment { saturation: 0.1, ..none() }]
        {
            let sentence = grey.output([1, 32, 32]).expect_err("refused").to_string();
            assert!(sentence.contains("colour"), "{sentence}");
        }
    }
}
