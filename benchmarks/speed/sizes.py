"""How large the measurements are, on a CPU and on a GPU."""

from dataclasses import dataclass

from benchmarks.speed.offline import OfflineSize
from benchmarks.speed.setup import LIMB_WARP
from benchmarks.speed.step import StepSize
from benchmarks.speed.synthesizer import SynthesizerSize
from benchmarks.speed.training import TrainingSize

RECOMMENDED, DEMO = 'pg2-self_coco-128x96', 'pg2-self_figures-64x48'
GENERATORS = (
    RECOMMENDED,
    'pg2-self-w64_coco-128x96',
    'pg2-self_coco-256x192',
    'pg2-self-w64_coco-256x192',
)

FLOAT32 = {'float32': dict(precision='float32')}
COMPILED = {'compiled': dict(compile=True)}
GRAPHS = {'compiled, CUDA graphs': dict(compile=True, cuda_graphs=True)}


@dataclass(frozen=True)
class Size:
    """Of all parts, and of the people that they share: how many, in images of what size."""

    people: int
    image_size: tuple[int, int]
    step: StepSize
    synthesizer: SynthesizerSize
    training: TrainingSize
    offline: OfflineSize


SIZES = {
    'cpu': Size(
        people=20,
        image_size=(288, 384),
        step=StepSize(
            {
                'res18-small_128x96': (LIMB_WARP, DEMO),
                'rtmpose-m_256x192': (RECOMMENDED,),
            },
            batch_size=16,
            workers=1,
            steps=2,
            rounds=5,
        ),
        synthesizer=SynthesizerSize(
            (RECOMMENDED, DEMO), 16, (96, 128), rounds=5, matmul=2048, modes=FLOAT32
        ),
        training=TrainingSize((RECOMMENDED, DEMO), rounds=5, workers=0),
        offline=OfflineSize((RECOMMENDED,), images=64, rounds=2),
    ),
    'gpu': Size(
        people=40,
        image_size=(480, 640),
        step=StepSize(
            {
                'hrnet-w32_256x192': (*GENERATORS[1:], LIMB_WARP, RECOMMENDED),
                'rtmpose-m_256x192': (*GENERATORS[1:], LIMB_WARP, RECOMMENDED),
            },
            batch_size=64,
            workers=8,
            steps=20,
            rounds=5,
        ),
        synthesizer=SynthesizerSize(
            GENERATORS,
            64,
            (192, 256),
            rounds=20,
            matmul=8192,
            modes=FLOAT32 | COMPILED | GRAPHS,
        ),
        training=TrainingSize(GENERATORS, rounds=20, workers=4),
        offline=OfflineSize((RECOMMENDED,), images=256, rounds=5),
    ),
}
