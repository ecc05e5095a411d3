"""Initial weights as parts: every tensor is drawn from a stream of its own name.

So the arms of a study share each tensor whose name and shape agree. Everything is drawn on the CPU, so that a network
starts equal on every device.
"""
