"""stub until helper"""
from blocks.instance import OdooInstance
from tasks.policy import step
@step("pause")
def pause(instance: OdooInstance) -> None: ...
@step("resume")
def resume(instance: OdooInstance) -> None: ...
