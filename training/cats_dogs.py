"""Cat or dog, from photos."""

import keras
from keras import layers

from inkling.recognition.card import InputSpec
from training import augment, heads, mobilenet, vgg16
from training.blocks import convolution, residual
from training.recipe import Recipe

SIDE = 150


def classic(labels: int) -> keras.Model:
    """The classic tutorial network: three blocks of convolution and max-pooling, dense 64, dropout.

    The activation follows the pooling, which gives the same result on a quarter of the pixels.
    """
    inputs = keras.Input((SIDE, SIDE, 3))
    x = inputs
    for filters in (32, 32, 64):
        x = layers.Conv2D(filters, 3, kernel_initializer="he_normal")(x)
        x = layers.MaxPooling2D()(x)
        x = layers.ReLU()(x)
    x = layers.Flatten()(x)
    x = layers.Dense(64, activation="relu")(x)
    x = layers.Dropout(0.5)(x)
    return keras.Model(inputs, layers.Dense(labels, activation="softmax")(x), name="cats_dogs_cnn")


def network(labels: int) -> keras.Model:
    """A small residual network; the input side is any multiple of 32 pixels."""
    inputs = keras.Input((None, None, 3))
    x = convolution(inputs, 24, strides=2)
    for width in (48, 96, 160, 160):
        x = residual(layers.MaxPooling2D()(convolution(x, width)))
    x = layers.GlobalAveragePooling2D(name="features")(x)
    x = layers.Dropout(0.1)(x)
    return keras.Model(inputs, layers.Dense(labels, activation="softmax")(x), name="cats_dogs_cnn")


RECIPES = (
    Recipe(
        name="cats-dogs-cnn",
        task="cats-dogs",
        title="Cat or dog, CNN",
        summary="A small residual network of our own, trained from scratch: besides 21,000 photos it learned from the "
        "answers of the fine-tuned MobileNetV2.",
        strengths="Small and quick; never saw another picture than these photos, and yet is seldom wrong.",
        limitations="Unusual breeds, small and half-hidden animals mislead it more often than its teacher.",
        dataset="cats-dogs",
        input=InputSpec(kind="photo", width=128, height=128, channels=3, scaling="signed", layout="squeeze"),
        build=network,
        teacher="cats-dogs-mobilenet",
        softness=2.0,
        augment=augment.photos,
        flip=True,
        epochs=25,
        # Smaller than in serving, because augmentation zooms in (FixRes, Touvron et al. 2019).
        sides=(48, 64, 64, 96, 112),
        batch=64,
        learning_rate=2e-3,
        weight_decay=1e-2,
        average=0.998,
    ),
    Recipe(
        name="cats-dogs-vgg16",
        task="cats-dogs",
        title="Cat or dog, VGG16",
        summary="VGG16's convolutions, pretrained on ImageNet: the first four blocks as they are, the last one "
        "fine-tuned on 21,000 photos with a head of our own.",
        strengths="The classic network of many tutorials, to compare with.",
        limitations="Larger and much slower than the others.",
        dataset="cats-dogs",
        input=InputSpec(kind="photo", width=160, height=160, channels=3, scaling="signed", layout="squeeze"),
        build=vgg16.network,
        fit=vgg16.train,
        weights="backbones/vgg16-conv-float16.npz",
        credit="Convolutions: VGG16 by Karen Simonyan and Andrew Zisserman, University of Oxford, CC BY 4.0; "
        "trained on ImageNet (ILSVRC 2012), whose photos are for research use.",
        augment=None,
        epochs=4,
        batch=64,
        learning_rate=1e-4,
        weight_decay=1e-2,
        label_smoothing=0.02,
        average=0.998,
        strange=0.075,
    ),
    Recipe(
        name="cats-dogs-efficientnet",
        task="cats-dogs",
        title="Cat or dog, EfficientNet",
        summary="A head of our own on the features of EfficientNet-Lite2, which learned a thousand kinds of things "
        "from ImageNet. It was trained on 21,000 photos, half of them also as small, dark, noisy or sideways photos, "
        "and is also asked about the mirror image of a photo of which it is not certain.",
        strengths="The most accurate on photos, also on unusual breeds and on animals that are small in the picture.",
        limitations="Knows cats and dogs only. It needs the model of a thousand things, whose features it reads.",
        dataset="cats-dogs",
        input=InputSpec(kind="photo", width=260, height=260, channels=3, scaling="signed", layout="squeeze"),
        build=heads.network,
        fit=heads.on(heads.Views(heads.enlarged), heads.Views(augment.hard_photos, every=2)),
        backbone="things",
        augment=None,
        epochs=12,
        batch=128,
        learning_rate=1e-3,
        weight_decay=3e-2,
        label_smoothing=0.02,
        average=0.998,
        mirror_below=0.95,
    ),
    Recipe(
        name="cats-dogs-mobilenet",
        task="cats-dogs",
        title="Cat or dog, MobileNetV2",
        summary="MobileNetV2, pretrained on ImageNet, every layer fine-tuned on 21,000 photos.",
        strengths="Several times as fast as EfficientNet and nearly as accurate; better than it on noisy photos.",
        limitations="Knows cats and dogs only; a picture lying on its side misleads it now and then.",
        dataset="cats-dogs",
        input=InputSpec(kind="photo", width=160, height=160, channels=3, scaling="signed", layout="squeeze"),
        build=mobilenet.network,
        load_backbone=mobilenet.load_backbone,
        weights="backbones/mobilenet_v2_notop.weights.h5",
        credit="Convolutions: MobileNetV2 by Google, Apache-2.0; trained on ImageNet (ILSVRC 2012), whose photos are "
        "for research use.",
        augment=augment.photos,
        flip=True,
        epochs=6,
        sides=(128, 160),
        batch=64,
        learning_rate=1.5e-4,
        weight_decay=1e-2,
        label_smoothing=0.02,
        average=0.998,
    ),
)
