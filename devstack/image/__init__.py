"""The slicer's container image without a container engine, and the ECS agent that its task speaks to."""

from devstack.image.container import PATH, Container, ContainerError
from devstack.image.ecs_agent import OFF, ON, EcsAgent

__all__ = ["OFF", "ON", "PATH", "Container", "ContainerError", "EcsAgent"]
