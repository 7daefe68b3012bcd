"""Times PyTorch's optimizers on the GPU that Lionstore has measured: parameters, gradients and states in bfloat16.

Called with the device's name as OpenCL has it, the number of parameters and how often to measure. Prints lines of
fields between tabs: "lionstore on WHAT", "lionstore not WHY" and "lionstore time NAME SECONDS PARAMETERS".
"""

import statistics
import sys
import time

# A layer's weights; optimizers that take many tensors at once have some to take.
TENSOR_ELEMENTS = 1 << 24
WARM_UPS = 5
# A pass that is measured takes about so long.
PASS_SECONDS = 0.02


def say(*fields):
    print("lionstore", *fields, sep="\t", flush=True)


def words(error):
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


def same_gpu(torch, wanted):
    """The index of the GPU that OpenCL calls so: by its name, or by its architecture, as AMD does."""
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        names = (properties.name, getattr(properties, "gcnArchName", ""))
        if any(name and (name.lower() in wanted.lower() or wanted.lower() in name.lower()) for name in names):
            return index
    return None


def lion(params, moments, rate=1e-4, b1=0.9, b2=0.99, decay=0.1):
    """As its paper has it, tensor by tensor."""
    for param, moment in zip(params, moments):
        update = moment.lerp(param.grad, 1 - b1).sign_()
        param.mul_(1 - rate * decay).add_(update, alpha=-rate)
        moment.lerp_(param.grad, 1 - b2)


def lion_foreach(torch, params, moments, rate=1e-4, b1=0.9, b2=0.99, decay=0.1):
    """The same for all tensors at once."""
    gradients = [param.grad for param in params]
    updates = torch._foreach_lerp(moments, gradients, 1 - b1)
    torch._foreach_sign_(updates)
    torch._foreach_mul_(params, 1 - rate * decay)
    torch._foreach_add_(params, updates, alpha=-rate)
    torch._foreach_lerp_(moments, gradients, 1 - b2)


def adamw(torch, params, **how):
    return torch.optim.AdamW(params, lr=1e-4, weight_decay=0.1, **how).step


def optimizers(torch, params):
    """Names, and what makes the step: states are there only while it is measured."""

    def moments():
        return [torch.zeros_like(param) for param in params]

    def plain():
        of = moments()
        return lambda: lion(params, of)

    def foreach():
        of = moments()
        return lambda: lion_foreach(torch, params, of)

    def compiled():
        of = moments()
        step = torch.compile(lion)
        return lambda: step(params, of)

    return (
        ("AdamW, fused", lambda: adamw(torch, params, fused=True)),
        ("AdamW, foreach", lambda: adamw(torch, params, foreach=True)),
        ("Lion, plain PyTorch", plain),
        ("Lion, foreach", foreach),
        ("Lion, torch.compile", compiled),
    )


def seconds(step, wait, times):
    def passed(repeats):
        wait()
        start = time.perf_counter()
        for _ in range(repeats):
            step()
        wait()
        return (time.perf_counter() - start) / repeats

    passed(WARM_UPS)
    repeats = max(1, min(64, round(PASS_SECONDS / passed(1))))
    return statistics.median(passed(repeats) for _ in range(times))


def measure(torch, device, wait, count, times):
    sizes = [min(TENSOR_ELEMENTS, count - at) for at in range(0, count, TENSOR_ELEMENTS)]
    params = []
    for size in sizes:
        param = torch.nn.Parameter((torch.randn(size, device=device) * 0.02).to(torch.bfloat16))
        param.grad = (torch.randn(size, device=device) * 1e-3).to(torch.bfloat16)
        params.append(param)
    for name, make in optimizers(torch, params):
        try:
            with torch.no_grad():
                say("time", name, seconds(make(), wait, times), count)
        except Exception as error:  # the others can still be measured
            say("not", f"{name}: {words(error)}")


def main(wanted, count, times):
    try:
        import torch
    except Exception as error:
        return say("not", f"{sys.executable} has no PyTorch ({words(error)})")
    if not torch.cuda.is_available():
        return say("not", f"PyTorch {torch.__version__} sees no GPU")
    index = same_gpu(torch, wanted)
    if index is None:
        others = ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
        return say("not", f"PyTorch {torch.__version__} sees only others: {others}")
    say("on", f"{torch.__version__}, {torch.cuda.get_device_name(index)}")
    torch.cuda.set_device(index)
    try:
        measure(torch, torch.device("cuda", index), torch.cuda.synchronize, count, times)
    except Exception as error:
        say("not", words(error))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
