//! Every gradient rule against central differences in double precision, with the op in the middle of a graph.

use gpunn::check::central_difference;
use gpunn::ops::table::TABLE;

#[test]
fn central_differences() {
    let mut failed = Vec::new();
    for entry in TABLE {
        // Large cases test the same rules as small ones, and their central differences take long.
        let small = |case: &gpunn::ops::case::Case| case.inputs.iter().all(|input| input.ty.elements() <= 3000);
        for case in (entry.cases)().iter().filter(|case| !case.differentiable.is_empty() && small(case)) {
            match central_difference(entry.name, case) {
                Ok(outcome) if outcome.passed() => {}
                Ok(outcome) => failed.push(outcome.sentence()),
                Err(error) => failed.push(format!("{} [{}]: {error}", entry.name, case.label)),
            }
        }
    }
    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n"));
}
