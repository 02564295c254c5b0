//! What `gpunn train` says of a training before and after it.

use std::path::Path;

use crate::data::Dataset;
use crate::train::{Summary, Trainer, guessing};

/// Prints what is held out for validation, or that nothing is.
pub(super) fn print_validation(trainer: &Trainer, dataset: &Dataset) {
    match (&dataset.val, trainer.recipe().data.val_fraction) {
        (None, _) => eprintln!(
            "warning: no images are held out for validation, so overfitting cannot be seen; --val-fraction {} holds some \
             out",
            crate::runs::VAL_FRACTION
        ),
        (Some(val), Some(fraction)) => eprintln!(
            "validation: {} of {} images held out ({} of each class, at least one; equal images stay together)",
            val.len(),
            val.len() + dataset.train.len(),
            super::percent(fraction)
        ),
        (Some(_), None) => {}
    }
}

/// Prints what will be trained.
pub(super) fn print_plan(trainer: &Trainer) {
    let recipe = trainer.recipe();
    eprintln!(
        "recipe {}: {} on {}, {} parameters, {} epochs, {} steps an epoch; planned memory {} ({} bytes)",
        recipe.name,
        recipe.model.name,
        recipe.data.name,
        trainer.model().parameters().count(),
        recipe.training.epochs,
        trainer.steps(),
        super::bytes(trainer.planned_bytes()),
        trainer.planned_bytes()
    );
    if let Some([channels, height, width]) = trainer.features() {
        eprintln!(
            "the frozen layers' outputs ({channels}x{height}x{width} per image) are computed once, without random augmentation"
        );
    }
    if !recipe.training.precision.is_single() {
        print_precision(trainer);
    }
}

/// Prints what is computed in half precision.
fn print_precision(trainer: &Trainer) {
    let units = trainer.engine().target().device.and_then(|device| device.matrix_units);
    let [half, all] = trainer.half_products();
    match units {
        Some(side) => eprintln!(
            "precision: {half} of {all} products take operands in f16 ({side}x{side} matrix units, sums in f32); weights, all other \
             values and evaluation stay in f32"
        ),
        None => eprintln!(
            "precision: f16 was asked for, but {} offers no matrix units with subgroups of one size; all is computed in f32",
            trainer.engine().device_name()
        ),
    }
}

/// Warns of a network that answers no better than always with the most frequent class.
pub(super) fn warn_of_guessing(summary: &Summary, labels: &[u32]) {
    let Some(accuracy) = summary.train_accuracy else { return };
    if let Some(share) = guessing(accuracy, labels) {
        eprintln!(
            "warning: the training accuracy, {}, is within the range of chance: the most frequent class has {} of the images. \
             Another --lr or more --epochs may help",
            super::percent(accuracy),
            super::percent(share)
        );
    }
}

/// Prints the result of a run.
pub(super) fn print_summary(summary: &Summary, report: Option<&Path>) {
    let map = |map: Option<f64>| map.map(|map| format!("mAP {}", super::percent(map)));
    let figure = |accuracy: Option<f64>, psnr: Option<f64>| match (accuracy, psnr) {
        (Some(accuracy), _) => Some(super::percent(accuracy)),
        (_, Some(psnr)) => Some(format!("{psnr:.2} dB")),
        _ => None,
    };
    let line = |name: &str, loss: Option<f64>, figure: Option<String>| {
        if let Some(loss) = loss {
            super::print_line(&format!("{name:<11}loss {loss:.4}  {}", figure.unwrap_or_default()));
        }
    };
    line("train", Some(summary.train_loss), figure(summary.train_accuracy, None));
    line("validation", summary.val_loss, figure(summary.val_accuracy, summary.val_psnr).or(map(summary.val_map)));
    line("test", summary.test_loss, figure(summary.test_accuracy, summary.test_psnr).or(map(summary.test_map)));
    super::print_line(&format!(
        "{} epochs in {:.1} s, weights {}",
        summary.epochs, summary.seconds, summary.weights_hash
    ));
    if let Some(best) = summary.best_epoch {
        let early =
            if summary.stopped_early { "; stopped early (--patience), because no later epoch was better" } else { "" };
        let figure = figure(summary.best_val_accuracy, None).or(map(summary.best_val_map));
        let figure = figure.map_or_else(String::new, |figure| format!(": validation {figure}"));
        super::print_line(&format!("best epoch {best}{figure}{early}"));
        if best != summary.epochs {
            super::print_line(
                "predict, eval, export and report use the best epoch's weights; with --last, the last epoch's",
            );
        }
    }
    super::print_line(&format!("run: {}", summary.run));
    if let Some(page) = report {
        super::print_line(&format!("report: {}", page.display()));
    }
}
