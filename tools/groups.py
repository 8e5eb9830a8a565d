"""Writes `models/things/groups.json` from WordNet 3.0: `python -m tools.groups`, with Debian's `wordnet-base`.

ImageNet names its classes by synsets, WordNet's sets of synonyms. A synset's id is the byte where its line begins in
WordNet's `data.noun`. A group holds the classes below some synsets. WordNet classifies by definition, and a visitor by
what a photo shows: `also` and `but` correct a group where the two differ.

Format of the file: https://wordnet.princeton.edu/documentation/wndb5wn
"""

import csv
import json
import sys
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from inkling.config import ROOT

WORDNET = Path("/usr/share/wordnet/data.noun")
CLASSES = ROOT / "training" / "things.csv"  # id and name of each class, in the network's order
TARGET = ROOT / "models" / "things" / "groups.json"


class Rule(NamedTuple):
    """A group: the classes below `synsets` and those named in `also`, without those named in `but`.

    `but` may also name groups whose rules stand above.
    """

    name: str
    synsets: str = ""
    also: str = ""
    but: str = ""


RULES = (
    # ---- Animals ----
    Rule("dog", "n02084071"),
    Rule("cat", "n02121808"),  # domestic
    Rule("wild cat", "n02127808", also="cougar, lynx"),
    Rule("wolf", "n02114100"),
    Rule("fox", "n02118333"),
    Rule("bear", "n02131653", also="giant panda"),  # a procyonid in WordNet
    Rule("monkey", "n02484322"),
    Rule("ape", "n02470325"),
    Rule("primate", "n02469914"),
    Rule("marine mammal", "n02062017"),
    Rule("elephant", "n02503517", also="tusker"),
    Rule("horse", "n02374451"),
    Rule("antelope", "n02419796"),
    Rule("sheep or goat", "n02411705 n02416519", also="ram, bighorn sheep"),
    Rule("pig or boar", "n02395003"),
    Rule("hoofed animal", "n02370806"),
    Rule("marsupial", "n01874434"),
    Rule("rabbit or hare", "n02323902"),
    Rule("rodent", "n02329401"),
    Rule("mammal", "n01861778"),
    Rule("chicken", also="rooster, hen"),
    Rule("game bird", "n02152991"),
    Rule("parrot", "n01816887"),
    Rule("bird of prey", "n01604330"),
    Rule("songbird", "n01525720"),
    Rule("waterfowl", "n01845132", also="black swan"),
    Rule("wading bird", "n02000954", also="purple swamphen"),
    Rule("seabird", "n02021795"),
    Rule("bird", "n01503061"),
    Rule("snake", "n01726692"),
    Rule("lizard", "n01674464"),
    Rule("turtle", "n01662784"),
    Rule("crocodile or alligator", "n01696633"),
    Rule("reptile", "n01661091"),
    Rule("frog", "n01639765"),
    Rule("salamander", "n01629276"),
    Rule("amphibian", "n01627424"),
    Rule("shark", "n01482330"),
    Rule("ray", "n01495701"),
    Rule("fish", "n02512053"),
    Rule("butterfly", "n02274259"),
    Rule("beetle", "n02164464"),
    Rule("insect", "n02159955"),
    Rule("spider", "n01772222"),
    Rule("arachnid", "n01769347"),
    Rule("crab", "n01976957"),
    Rule("crustacean", "n01974773"),
    Rule("mollusk", "n01940736"),
    Rule("animal", "n00015388"),
    # ---- Plants and food ----
    Rule("flower", "n00017222"),
    Rule("plant", "n00017222", also="rapeseed, acorn, rose hip, buckeye"),
    Rule("fungus", "n12992868", also="mushroom"),  # a vegetable in WordNet
    Rule("fruit", "n07705931"),
    Rule("vegetable", "n07707451", also="corn, ear of corn", but="mushroom"),
    Rule("dessert", "n07609840"),
    Rule("drink", "n07881800", but="cup"),  # not the punch of that name: photos show cups
    Rule("food", "n00021265 n07555863", also="corn, ear of corn", but="mushroom, hay, menu, drink, cup"),
    # ---- Vehicles ----
    Rule("car", "n02958343"),
    Rule("truck", "n04490091", but="minivan"),  # a car and a truck in WordNet
    Rule("bus", "n02924116"),
    Rule("train", also="bullet train, electric locomotive, steam locomotive, freight car, passenger car"),
    Rule("bicycle", "n02834778"),
    Rule("motorcycle", also="moped, motor scooter"),
    Rule("airplane", also="airliner, military aircraft, airplane wing"),
    Rule("aircraft", "n02686568", also="airplane wing"),
    Rule("ship", "n04194289"),
    Rule("boat", "n02858304 n04128837"),
    Rule("watercraft", "n04530566"),
    Rule(
        "vehicle",
        "n04524313 n04019101",
        also="airplane wing, combine harvester",
        but="wheelbarrow, shopping cart, missile, mobile home",
    ),
    # ---- Furniture and appliances ----
    Rule("bed", "n02766320", also="four-poster bed"),
    Rule("piece of furniture", "n03405725", but="table lamp, toilet seat"),
    Rule("home appliance", "n02729837", also="stove, electric fan, space heater, slow cooker", but="Dutch oven"),
    Rule("computer", "n03082979", but="slide rule, website"),
    Rule("phone", "n04401088"),
    Rule("camera", "n02942699"),
    Rule(
        "electronic device",
        "n03278248 n03082979 n02942699",
        also="television, radio, remote control, loudspeaker, microphone, computer mouse, hard drive, computer screen, "
        "projector, home theater",
        but="slide rule, website",
    ),
    Rule("timepiece", "n04437953", but="parking meter"),
    Rule("measuring instrument", "n03733925", also="compass", but="parking meter"),
    Rule("light source", also="candle, jack-o'-lantern, spotlight, torch, table lamp"),
    # ---- Music ----
    Rule("guitar", also="acoustic guitar, electric guitar"),
    Rule("stringed instrument", "n04338517", but="grand piano, upright piano"),
    Rule("keyboard instrument", "n03614532"),
    Rule("wind instrument", "n04586932", but="accordion, pipe organ"),
    Rule("percussion instrument", "n03915437", but="grand piano, upright piano"),
    Rule("musical instrument", "n03800933"),
    # ---- Clothing ----
    Rule("hat", "n03497657", also="mortarboard"),
    Rule("headgear", "n03502509", also="pickelhaube, ski mask"),
    Rule("shoe", "n03380867"),
    Rule("swimsuit", "n04371563", also="maillot"),
    Rule("skirt", "n04230808"),
    Rule("piece of armor", also="breastplate, cuirass, chain mail, shield"),
    Rule("pair of sunglasses", also="sunglasses, dark glasses"),
    Rule(
        "piece of clothing",
        "n03051540 n03502509 n03380867",
        also="pickelhaube, ski mask, cloak",
        but="seat belt, mask, Christmas stocking, wig",
    ),
    # ---- Containers and tools ----
    Rule("bottle", "n02876657", also="baby bottle"),
    Rule("bag", "n02773037", also="wallet", but="sleeping bag"),
    Rule("box", "n02883344"),
    Rule("cup or glass", also="coffee mug, cup, beer glass, goblet"),
    Rule(
        "kitchen utensil",
        "n03621049",
        also="can opener, cleaver, corkscrew, Dutch oven, ladle, wooden spoon, strainer, measuring cup, mixing bowl, "
        "soup bowl, mortar and pestle, salt shaker, cocktail shaker",
        but="slow cooker",
    ),
    Rule(
        "container",
        "n03094503",
        also="baby bottle, cup",
        but="vehicle, kitchen utensil, wheelbarrow, shopping cart, water tower, sleeping bag, thimble, cassette tape, "
        "mobile home, bathtub, washbasin",
    ),
    Rule("tool", "n04451818", but="can opener, cleaver, corkscrew"),
    Rule("pen", "n03906997"),
    Rule("gun", "n03343853"),
    Rule("weapon", "n04565375"),
    Rule("ball", "n02778669", but="punching bag"),
    Rule(
        "piece of sports equipment",
        "n04285146 n03414162",
        also="ski, hockey puck, tennis racket",
        but="jigsaw puzzle, crossword puzzle, pool table, golf cart",
    ),
    Rule("toy", also="jigsaw puzzle, pinwheel, teddy bear"),
    Rule("cosmetic product", "n04447443"),
    # ---- Places and people ----
    Rule("store", "n03748162", but="barbershop"),
    Rule(
        "building",
        "n02913152 n03546340 n03953020",
        also="castle, lighthouse, prison, sawmill, bell tower",
        but="home theater, apiary",
    ),
    Rule("bridge", "n02898711"),
    Rule("fence", "n03327234"),
    Rule(
        "structure",
        "n04341686",
        also="sawmill, prison, bell tower, water tower, dome, thatched roof, tile roof, vault, pier, oil rig",
        but="spiral, radiator grille, dish rack, home theater, honeycomb",
    ),
    Rule("landscape", "n09287968", also="volcano", but="coral reef"),
    Rule("person", "n00007846"),
)


def main() -> int:
    """Writes the file and lists the classes without a group; returns 1 if two groups overlap, else 0."""
    names = [name for _, name in classes()]
    groups = sorted(members((sys.argv[1:] or [WORDNET])[0]).items(), key=lambda group: len(group[1]))
    overlaps = [
        f"{fine} and {wide} share only {', '.join(names[i] for i in sorted(some & others))}"
        for (fine, some), (wide, others) in combinations(groups, 2)
        if some & others and not some <= others
    ]
    if overlaps:
        print(*overlaps, sep="\n")
        return 1
    rows = ",\n".join(json.dumps({"name": name, "labels": sorted(labels)}) for name, labels in groups)
    TARGET.write_text(f'{{"groups": [\n{rows}\n]}}\n')
    rest = set(range(len(names))).difference(*(labels for _, labels in groups))
    print(f"{len(groups)} groups; {len(rest)} classes are in none: {', '.join(names[i] for i in sorted(rest))}")
    return 0


def classes() -> list[tuple[str, str]]:
    """The synset and the name of each class, in the network's order."""
    with CLASSES.open(encoding="utf-8", newline="") as file:
        return [(row["id"], row["name"]) for row in csv.DictReader(file)]


def members(wordnet: str | Path) -> dict[str, set[int]]:
    """The indexes of the classes of each group.

    Args:
        wordnet: WordNet's `data.noun`.

    Raises:
        OSError: it cannot be read.
        KeyError: a rule names a class or a group that does not exist.
    """
    nouns = Path(wordnet).read_bytes()
    index = {name: i for i, (_, name) in enumerate(classes())}
    synsets = [above(synset, nouns) for synset, _ in classes()]
    groups: dict[str, set[int]] = {}
    for rule in RULES:
        below = {i for i, wider in enumerate(synsets) if not wider.isdisjoint(rule.synsets.split())}
        but = [groups[name] if name in groups else {index[name]} for name in _split(rule.but)]
        groups[rule.name] = (below | {index[name] for name in _split(rule.also)}).difference(*but)
    return groups


def above(synset: str, nouns: bytes) -> frozenset[str]:
    """A synset, and all that are wider: its hypernyms, theirs, and so on."""
    start = int(synset[1:])
    fields = nouns[start : nouns.index(b"\n", start)].decode().split()
    pointers = 4 + 2 * int(fields[3], 16)  # behind the words, each with a number
    symbols = fields[pointers + 1 : pointers + 1 + 4 * int(fields[pointers])]
    wider = [f"n{target}" for symbol, target in zip(symbols[::4], symbols[1::4], strict=True) if symbol in ("@", "@i")]
    return frozenset([synset]).union(*(above(one, nouns) for one in wider))


def _split(names: str) -> list[str]:
    return names.split(", ") if names else []


if __name__ == "__main__":
    sys.exit(main())
