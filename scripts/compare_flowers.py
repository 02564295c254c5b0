"""Trains SqueezeNet 1.1, pretrained on ImageNet, on flowers17 in PyTorch as gpunn's recipes do, once for each seed.

    PYTHON scripts/compare_flowers.py DATA classifier SEED...     as flowers17-squeezenet: five epochs, only a new classifier learns
    PYTHON scripts/compare_flowers.py DATA middles SEED...        the same, with crops from the middle 256 x 256 of each photo, as in gpunn
    PYTHON scripts/compare_flowers.py DATA features SEED...       the classifier on features computed once (--cache-features)
    PYTHON scripts/compare_flowers.py DATA all SEED...            as flowers17-best: all layers learn, 20 epochs, photos resized to a square

DATA holds flowers17/ and squeezenet/. Needs torch, torchvision, safetensors and Pillow; uses one thread. Prints the accuracies of the
last epoch in per cent: the running accuracy on the training images, then validation and test.
"""
import glob
import os
import sys

import torch
import torch.nn as nn
import torch.nn.functional as F
import torchvision
import torchvision.transforms as T
import torchvision.transforms.functional as TF
from PIL import Image
from safetensors.torch import load_file
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

BATCH = 32
normalise = T.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
augment = T.Compose([T.RandomResizedCrop(224), T.RandomHorizontalFlip(), T.ToTensor(), normalise])
squeeze = T.Resize((256, 256))
middle = T.Compose([T.CenterCrop(224), T.ToTensor(), normalise])


def images(data, split):
    found = []
    for label, kind in enumerate(sorted(os.listdir(f"{data}/flowers17/{split}"))):
        files = sorted(glob.glob(f"{data}/flowers17/{split}/{kind}/*.jpg"))
        found += [(Image.open(file).convert("RGB"), label) for file in files]
    return [image for image, _ in found], torch.tensor([label for _, label in found])


def network(data):
    model = torchvision.models.squeezenet1_1()
    model.load_state_dict({name: tensor.float() for name, tensor in load_file(f"{data}/squeezenet/squeezenet1_1.safetensors").items()})
    model.classifier = nn.Sequential(nn.Dropout(0.5), nn.Conv2d(512, 17, 2), nn.ReLU(), nn.AdaptiveAvgPool2d((1, 1)))
    return model


def accuracy(model, x, y, views):
    model.eval()
    with torch.no_grad():
        logits = [sum(model(view(part)).flatten(1).softmax(1) for view in views) for part in x.split(68)]
    return 100 * (torch.cat(logits).argmax(1) == y).float().mean().item()


def train(model, optimizer, schedule, epochs, count, batch, labels, smoothing=0.0, average=None):
    for _ in range(epochs):
        model.train()
        right = 0
        for numbers in torch.randperm(count).split(BATCH):
            logits = model(batch(numbers)).flatten(1)
            loss = F.cross_entropy(logits, labels[numbers], label_smoothing=smoothing)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if schedule:
                schedule.step()
            if average:
                average.update_parameters(model)
            right += (logits.argmax(1) == labels[numbers]).sum().item()
    return 100 * right / count


def main():
    data, way, seeds = sys.argv[1], sys.argv[2], [int(seed) for seed in sys.argv[3:]]
    torch.set_num_threads(1)
    splits = {split: images(data, split) for split in ("train", "val", "test")}
    views = [lambda x: x, lambda x: x.flip(3)] if way == "all" else [lambda x: x]
    if way == "all":
        splits = {split: ([squeeze(photo) for photo in photos], labels) for split, (photos, labels) in splits.items()}
    measured = {split: torch.stack([middle(image) for image in splits[split][0]]) for split in ("val", "test")}
    photos, labels = splits["train"]
    if way == "middles":
        photos = [TF.center_crop(photo, 256) for photo in photos]
    batch = lambda numbers: torch.stack([augment(photos[i]) for i in numbers])
    if way == "features":
        still = torch.stack([middle(image) for image in photos])
        features = network(data).eval().features
        with torch.no_grad():
            of = lambda x: torch.cat([features(part) for part in x.split(68)])
            still, measured = of(still), {split: of(x) for split, x in measured.items()}
        batch = lambda numbers: still[numbers]
    for seed in seeds:
        torch.manual_seed(seed)
        model = network(data)
        if way == "all":
            groups = [dict(params=model.features.parameters()), dict(params=model.classifier.parameters())]
            optimizer = torch.optim.SGD(groups, 3e-2, momentum=0.9, nesterov=True, weight_decay=1e-3)
            steps = -(-len(photos) // BATCH) * 20
            schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, [3e-3, 3e-2], total_steps=steps)
            average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.99))
            running = train(model, optimizer, schedule, 20, len(photos), batch, labels, 0.1, average)
            model = average
        else:
            model.features.requires_grad_(False)
            whole, model = model, model.classifier if way == "features" else model
            optimizer = torch.optim.Adam(whole.classifier.parameters(), 1e-3)
            running = train(model, optimizer, None, 5, len(photos), batch, labels)
        figures = [accuracy(model, measured[split], splits[split][1], views) for split in ("val", "test")]
        print(f"{way}, seed {seed}: running {running:.2f}, val {figures[0]:.2f}, test {figures[1]:.2f}", flush=True)


if __name__ == "__main__":
    main()
