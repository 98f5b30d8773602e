"""The same questions for OpenCompass: opencompass testalgorithms/gen/op_eval.py, in this task's folder.

The model is any server of the OpenAI protocol; the two names below say which. (OpenCompass writes a configuration out as text, so
that they cannot come from the environment.)
"""

from opencompass.datasets.custom import CustomDataset
from opencompass.models import OpenAISDK
from opencompass.openicl.icl_evaluator import JiebaRougeEvaluator
from opencompass.openicl.icl_inferencer import GenInferencer
from opencompass.openicl.icl_prompt_template import PromptTemplate
from opencompass.openicl.icl_retriever import ZeroRetriever

model = "qwen2.5-coder:1.5b"
server = "http://localhost:11434/v1"

datasets = [
    dict(
        abbr="smart_coding_issue",
        type=CustomDataset,
        path="./data/pairs",
        file_name="test_data.jsonl",
        local_mode=True,
        reader_cfg=dict(input_columns=["question"], output_column="answer"),
        infer_cfg=dict(
            prompt_template=dict(
                type=PromptTemplate,
                template=dict(round=[dict(role="HUMAN", prompt="{question}")]),
            ),
            retriever=dict(type=ZeroRetriever),
            inferencer=dict(type=GenInferencer),
        ),
        eval_cfg=dict(evaluator=dict(type=JiebaRougeEvaluator)),
    )
]

models = [
    dict(
        abbr=model,
        type=OpenAISDK,
        path=model,
        openai_api_base=server,
        key="none",
        max_out_len=512,
        batch_size=1,
        temperature=0.0,
    )
]
