"""Prints the measures that scikit-learn and SciPy compute from a small fixed table of predictions.

The test `measures_are_those_of_scikit_learn` in src/train/measures.rs holds the table and these values.

    pip install scikit-learn scipy
    python3 scripts/sklearn_measures.py
"""

import numpy
import scipy
import sklearn
from scipy.stats import binomtest
from sklearn.calibration import calibration_curve
from sklearn.metrics import precision_recall_fscore_support, top_k_accuracy_score

CLASSES, IMAGES, BINS = 7, 24, 15

# No image is of class 5, class 4 is never predicted, and class 6 is neither there nor predicted.
random = numpy.random.default_rng(3)
labels = random.integers(0, 5, IMAGES)
logits = random.normal(0, 1.2, (IMAGES, CLASSES))
logits[numpy.arange(IMAGES), labels] += 1.1
logits[:, [4, 6]] -= [2.5, 7]
logits = numpy.round(logits, 2)
assert all(len(set(row)) == CLASSES for row in logits.tolist()), "no logits of an image are equal"

exponentials = numpy.exp(logits)
probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
guesses, confidences = logits.argmax(axis=1), probabilities.max(axis=1)
correct = (guesses == labels).astype(int)

print(f"scikit-learn {sklearn.__version__}, SciPy {scipy.__version__}")
print("labels", labels.tolist())
print("logits", logits.tolist())
each = precision_recall_fscore_support(labels, guesses, labels=range(CLASSES), zero_division=0)
for name, values in zip(["precision", "recall", "f1", "images"], each):
    print(name, values.tolist())
print("macro", [float(mean) for mean in precision_recall_fscore_support(labels, guesses, average="macro", zero_division=0)[:3]])
print("top-5", float(top_k_accuracy_score(labels, logits, k=5, labels=range(CLASSES))))
accuracies, means = calibration_curve(correct, confidences, n_bins=BINS, strategy="uniform")
counts = numpy.histogram(confidences, bins=BINS, range=(0, 1))[0]
print("images of the bins", counts.tolist())
print("accuracies", accuracies.tolist())
print("mean confidences", means.tolist())
print("expected calibration error", float((counts[counts > 0] * abs(accuracies - means)).sum() / IMAGES))
for successes, trials in [(int(correct.sum()), IMAGES), (0, 10), (10, 10), (93, 102)]:
    interval = binomtest(successes, trials).proportion_ci(0.95, "wilson")
    print(f"95 % interval of {successes} of {trials}", [float(interval.low), float(interval.high)])
