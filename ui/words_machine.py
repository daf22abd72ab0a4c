"""Words of the panel that shows what the machine is doing."""

from __future__ import annotations

from rag.text.messages import Text

MACHINE: dict[str, Text] = {
    "machine": Text("Machine", "机器"),
    "machine_close": Text("Close the machine panel", "关闭机器面板"),
    "machine_card": Text("Card {index}", "显卡 {index}"),
    "machine_vram": Text("Graphics memory", "显存"),
    "machine_ram": Text("Main memory", "内存"),
    "machine_of": Text("{used} of {total} GiB", "{used} / {total} GiB"),
    "machine_load": Text("Load", "负载"),
    "machine_cpu": Text("Processor load", "处理器负载"),
    "machine_used": Text("In use", "已用"),
    "machine_heat": Text("Temperature", "温度"),
    "machine_power": Text("Power", "功耗"),
    "machine_clock": Text("Clock {value} MHz", "频率 {value} MHz"),
    "machine_fan": Text("fan {value} %", "风扇 {value} %"),
    "machine_slows": Text("slows down at {value} °C", "{value} °C 起降频"),
    "machine_limit": Text("limit {value} W", "上限 {value} W"),
    "machine_span": Text("the last {minutes} min", "最近 {minutes} 分钟"),
    "machine_lowered": Text("For want of memory", "因内存不足"),
    "machine_report": Text("Write a report", "生成报告"),
    "machine_reported": Text("Saved in {folder}", "已保存到 {folder}"),
    "holder_weights": Text("weights", "权重"),
    "holder_kv": Text("keys, values, computing", "键值缓存与计算"),
    "holder_embedder": Text("embedder", "向量模型"),
    "holder_reranker": Text("reranker", "重排模型"),
    "holder_cache": Text("kept for the next tensor", "分配器保留"),
    "holder_context": Text("driver", "驱动"),
    "holder_others": Text("other programs", "其他程序"),
    "holder_process": Text("RAG Desk", "RAG Desk"),
}
