#!/usr/bin/env python3
"""Compares the figures of `gpunn reconstruct` with scikit-image's PSNR and scikit-learn's PCA.

Usage: scripts/compare_psnr_pca.py GPUNN RUN DATA_DIR        needs: pip install scikit-image scikit-learn scipy safetensors

RUN is a run of nist36-autoencoder on emnist36. This script runs its network in NumPy with the weights of its last checkpoint.
"""
import json
import subprocess
import sys

import numpy as np
import scipy.io
from safetensors.numpy import load_file
from skimage.metrics import peak_signal_noise_ratio
from sklearn.decomposition import PCA

gpunn, run, data_dir = sys.argv[1:4]


def images(split):
    """The images, transposed: the files store them column by column."""
    data = scipy.io.loadmat(f"{data_dir}/emnist36/emnist36_{split}.mat")[f"{split}_data"].astype(np.float32)
    return data.reshape(-1, 32, 32).transpose(0, 2, 1).reshape(-1, 1024)


def psnr(originals, others):
    return float(np.mean([peak_signal_noise_ratio(a, b, data_range=1) for a, b in zip(originals, others)]))


def network(x, weights):
    for number in (1, 2, 3):
        x = np.maximum(x @ weights[f"fc{number}.weight"].T + weights[f"fc{number}.bias"], 0)
    return 1 / (1 + np.exp(-(x @ weights["fc4.weight"].T + weights["fc4.bias"])))


command = [gpunn, "reconstruct", run, "--split", "val", "--data-dir", data_dir, "--json", "--quiet"]
found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
train, val = images("train"), images("valid")
pca = PCA(found["width"], svd_solver="full").fit(train.astype(np.float64))
back = pca.inverse_transform(pca.transform(val.astype(np.float64))).astype(np.float32)
right = {
    "psnr": psnr(val, network(val, load_file(f"{run}/last.safetensors")).astype(np.float32)),
    "pca_psnr": psnr(val, back),
    "pca_clamped_psnr": psnr(val, back.clip(0, 1)),
}
for name, value in right.items():
    print(f"{name:<17} gpunn {found[name]:.5f} dB, scikit {value:.5f} dB")
    if abs(found[name] - value) > 1e-4:
        sys.exit(f"{name} differs by {abs(found[name] - value):.1e} dB")
