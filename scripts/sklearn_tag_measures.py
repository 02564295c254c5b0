"""Prints the measures that scikit-learn computes from a small fixed table of logits for images with any number of labels.

The test `measures_are_those_of_scikit_learn` in src/train/tag_measures.rs holds the table and these values.

    pip install scikit-learn
    python3 scripts/sklearn_tag_measures.py
"""

import numpy
import sklearn
from sklearn.metrics import accuracy_score, average_precision_score, precision_recall_fscore_support

CLASSES, IMAGES = 4, 20

# No image has class 3, and one image has no class. Logits are rounded to quarters, so that some are equal.
random = numpy.random.default_rng(5)
labels = (random.random((IMAGES, CLASSES)) < [0.5, 0.3, 0.4, 0.0]).astype(int)
logits = random.normal(0, 1.3, (IMAGES, CLASSES)) + 1.5 * (labels - 0.5)
logits = numpy.round(4 * logits) / 4
guesses = (logits >= 0).astype(int)
assert all(len(set(logits[:, column].tolist())) < IMAGES for column in range(3)), "some logits of a class are equal"

print(f"scikit-learn {sklearn.__version__}")
for row, given in zip(logits.astype(float), labels):
    numbers = ", ".join(f"{value}" for value in row)
    print(f"        ([{numbers}], &{[int(number) for number in numpy.flatnonzero(given)]}),")
precisions = [float(average_precision_score(labels[:, column], logits[:, column])) for column in range(3)]
print("AP", precisions)
print("MAP", [float(numpy.mean(precisions))])
each = precision_recall_fscore_support(labels, guesses, zero_division=0)
for name, values in zip(["PRECISION", "RECALL", "F1"], each):
    print(name, values.tolist()[:3])
# Class 3 is given to some images, so that it counts for the macro mean.
assert guesses[:, 3].any()
for average in ("micro", "macro"):
    print(average.upper(), [float(mean) for mean in precision_recall_fscore_support(labels, guesses, average=average, zero_division=0)[:3]])
print("EXACT", [float(accuracy_score(labels, guesses))])
exact = logits.astype(float)
losses = labels * numpy.log1p(numpy.exp(-exact)) + (1 - labels) * numpy.log1p(numpy.exp(exact))
print("LOSS", [float(losses.mean())])
